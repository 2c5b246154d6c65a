#!/usr/bin/env python3
"""Checks the manifests of the folders beside this file without a cluster or a network.

    deploy/kubernetes/check.py [FOLDER...]

Kubernetes' own schemas hold for everything that is Kubernetes' (kubernetes-validate), mpijob.schema.json for the rest of an
MPIJob; then what schemas do not know: that pods keep the restricted profile, that what they mention is there, that ranks, workers
and slots agree.
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
VERSION = "1.37"
# What icnn cannot recover from by trying again: see `icnn --help`.
PERMANENT_CODES = {64, 65, 66, 70, 78}


def load(folder):
    """The documents of a folder's kustomization, with what it would generate and replace."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    documents = []
    for name in kustomization["resources"]:
        documents += [d for d in yaml.safe_load_all((folder / name).read_text()) if d]
    for generator in kustomization.get("configMapGenerator", []):
        data = {pathlib.Path(f).name: (folder / f).read_text() for f in generator["files"]}
        documents.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}
        )
    return documents


def problems(documents):
    """What is wrong, a sentence each."""
    found = []
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] == "MPIJob":
            found += [f"{name}: {p}" for p in mpijob_problems(document)]
        else:
            found += [f"{name}: {p}" for p in kubernetes_problems(document)]
        if document["kind"] == "Job":
            found += [f"{name}: {p}" for p in job_problems(document)]
        for role, template in templates(document):
            found += [f"{name}, {role}: {p}" for p in pod_problems(template["spec"], documents)]
    return found


def templates(document):
    if document["kind"] == "MPIJob":
        replicas = document.get("spec", {}).get("mpiReplicaSpecs", {})
        return [(role, r["template"]) for role, r in replicas.items() if "template" in r]
    if document["kind"] == "Job":
        return [("pod", document["spec"]["template"])]
    return []


def kubernetes_problems(document):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return []
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]


def mpijob_problems(document):
    schema = json.loads((HERE / "mpijob.schema.json").read_text())
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    found = [f"{'.'.join(map(str, e.path))}: {e.message}" for e in errors]
    for role, template in templates(document):
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": role.lower()}, "template": template}
        found += [f"{role}: {p}" for p in kubernetes_problems(pod)]
    if found:
        return found
    spec = document["spec"]
    worker = spec["mpiReplicaSpecs"]["Worker"]
    command = spec["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]["command"]
    slots = worker["replicas"] * spec["slotsPerWorker"]
    if option(command, "--np") != slots:
        found.append(f"--np {option(command, '--np')} on {slots} slots")
    if not 1 <= option(command, "--min-ranks") <= slots:
        found.append(f"--min-ranks {option(command, '--min-ranks')} of {slots}")
    cpus = worker["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
    if option(command, "--threads") * spec["slotsPerWorker"] != int(cpus):
        found.append(f"--threads {option(command, '--threads')} × {spec['slotsPerWorker']} ranks on {cpus} CPUs")
    return found


def job_problems(document):
    rules = document["spec"].get("podFailurePolicy", {}).get("rules", [])
    by_action = {a: set() for a in ("FailJob", "Ignore", "Count")}
    for rule in rules:
        by_action[rule["action"]] |= set(rule.get("onExitCodes", {}).get("values", []))
    found = []
    if by_action["FailJob"] != PERMANENT_CODES:
        found.append(f"FailJob on {sorted(by_action['FailJob'])}, not on {sorted(PERMANENT_CODES)}")
    if 85 not in by_action["Ignore"]:
        found.append("85, a checkpoint on demand, counts as a failure")
    if document["spec"]["template"]["spec"].get("restartPolicy") != "Never":
        found.append("podFailurePolicy wants restartPolicy Never")
    return found


def option(command, name):
    return int(command[command.index(name) + 1]) if name in command else 1


def pod_problems(pod, documents):
    found = []
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or not security.get("runAsUser"):
        found.append("may run as root")
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("has no seccomp profile")
    volumes = {v["name"]: v for v in pod.get("volumes", [])}
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{container['name']} may gain privileges")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append(f"{container['name']} keeps capabilities")
        if set(container.get("resources", {}).get("limits", {})) != {"cpu", "memory"}:
            found.append(f"{container['name']} has no limits of CPU and memory")
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                found.append(f"{container['name']} mounts {mount['name']}, which is no volume")
    present = {(d["kind"], d["metadata"]["name"]) for d in documents}
    for volume in volumes.values():
        for kind, source, key in [
            ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
            ("ConfigMap", "configMap", "name"),
        ]:
            if source in volume and (kind, volume[source][key]) not in present:
                found.append(f"volume {volume['name']}: there is no {kind} {volume[source][key]}")
    return found


def main(folders):
    folders = [pathlib.Path(f) for f in folders] or sorted(p.parent for p in HERE.glob("*/kustomization.yaml"))
    wrong = 0
    for folder in folders:
        documents = load(folder)
        found = problems(documents)
        for problem in found:
            print(f"error: {folder.name}: {problem}", file=sys.stderr)
        wrong += len(found)
        if not found:
            print(f"{folder.name}: {len(documents)} manifests hold for Kubernetes {VERSION}")
    return 65 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
