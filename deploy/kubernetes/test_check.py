"""What check.py must find: each manifest is taken as it is, spoilt in one place, and judged."""

import copy
import unittest

import check


def at(document, *path):
    for key in path:
        document = document[key]
    return document


class SpoiltManifests(unittest.TestCase):
    LAUNCHER = ("spec", "mpiReplicaSpecs", "Launcher", "template", "spec")
    WORKER = ("spec", "mpiReplicaSpecs", "Worker", "template", "spec")

    def judge(self, folder, kind, spoil):
        documents = copy.deepcopy(check.load(check.HERE / folder))
        self.assertEqual(check.problems(documents), [])
        spoil(next(d for d in documents if d["kind"] == kind))
        return "\n".join(check.problems(documents))

    def test_mpijob(self):
        for spoil, words in [
            (lambda d: d["spec"].update(slotPerWorker=1), "slotPerWorker"),
            (lambda d: at(d, "spec", "runPolicy").update(cleanPodPolicy="Sometimes"), "Sometimes"),
            (lambda d: at(d, "spec", "mpiReplicaSpecs", "Worker").update(restartPolicy="Always"), "Always"),
            (lambda d: at(d, "spec", "mpiReplicaSpecs", "Launcher").update(replicas=2), "1 was expected"),
            (lambda d: at(d, "spec", "mpiReplicaSpecs", "Worker").update(replicas=3), "--np 4 on 3 slots"),
            (lambda d: at(d, *self.LAUNCHER).update(hostNetwork="no"), "hostNetwork"),
            (lambda d: at(d, *self.WORKER, "containers", 0).update(comand=["sshd"]), "comand"),
            (lambda d: at(d, *self.WORKER, "containers", 0, "resources", "limits").update(cpu="4"), "on 4 CPUs"),
            (lambda d: at(d, *self.WORKER, "securityContext").update(runAsUser=0), "root"),
            (lambda d: at(d, *self.WORKER, "containers", 0, "securityContext").pop("capabilities"), "capabilities"),
            (lambda d: at(d, *self.LAUNCHER, "volumes").pop(0), "data, which is no volume"),
            (lambda d: at(d, *self.LAUNCHER, "volumes", 2, "configMap").update(name="other"), "no ConfigMap other"),
        ]:
            with self.subTest(words):
                self.assertIn(words, self.judge("mpijob", "MPIJob", spoil))

    def test_job(self):
        for spoil, words in [
            (lambda d: at(d, "spec", "podFailurePolicy", "rules").pop(0), "FailJob on []"),
            (lambda d: at(d, "spec", "podFailurePolicy", "rules").pop(2), "85"),
            (lambda d: d["spec"].update(backofLimit=1), "backofLimit"),
            (lambda d: at(d, "spec", "template", "spec").update(restartPolicy="OnFailure"), "podFailurePolicy wants"),
        ]:
            with self.subTest(words):
                self.assertIn(words, self.judge("job", "Job", spoil))

    def test_claim(self):
        self.assertIn(
            "accessMode", self.judge("mpijob", "PersistentVolumeClaim", lambda d: d["spec"].update(accessMode="x"))
        )


if __name__ == "__main__":
    unittest.main()
