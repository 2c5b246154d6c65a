#define _GNU_SOURCE
#include "cmat_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmat_stream.h"

enum { STREAM_DESCRIPTOR = 3 };

static uint64_t address_space_bytes(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%lu", &pages) != 1) pages = 0;
  fclose(file);
  return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit(int resource, uint64_t value) {
  struct rlimit current;
  if (getrlimit(resource, &current) != 0) return;
  if (current.rlim_max != RLIM_INFINITY && current.rlim_max < value) value = current.rlim_max;
  struct rlimit wanted = {.rlim_cur = value, .rlim_max = value};
  setrlimit(resource, &wanted);
}

// Nothing of the parent shall act in the child: no handler, no open file, no terminal.
static void isolate(pid_t parent, int descriptor, uint64_t memory_bytes, uint32_t cpu_seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (descriptor != STREAM_DESCRIPTOR && dup2(descriptor, STREAM_DESCRIPTOR) < 0) _exit(1);
  // HDF5 prints whole stacks of errors; what is worth saying goes into the stream.
  int nothing = open("/dev/null", O_RDWR);
  if (nothing >= 0)
    for (int standard_descriptor = 0; standard_descriptor < 3; ++standard_descriptor)
      dup2(nothing, standard_descriptor);
  close_range(STREAM_DESCRIPTOR + 1, UINT_MAX, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, cpu_seconds);
  // Waiting costs no processor time: a disk that hangs, a lock that a thread of the parent held.
  alarm(20 * cpu_seconds);
  limit(RLIMIT_FSIZE, 0);
  uint64_t used = address_space_bytes();
  if (used > 0) limit(RLIMIT_AS, used + memory_bytes);
}

pid_t cmat_start(const char *path, const char *variable, uint64_t memory_bytes, uint32_t cpu_seconds,
                 int *descriptor) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    isolate(parent, ends[1], memory_bytes, cpu_seconds);
    cmat_write_variable(STREAM_DESCRIPTOR, path, variable);
    _exit(0);
  }
  int error = errno;
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    errno = error;
    return -1;
  }
  *descriptor = ends[0];
  return child;
}
