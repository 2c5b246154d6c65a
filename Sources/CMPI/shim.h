// MPI's handles are macros over casts that Swift cannot import; each gets one inline function.
#pragma once
#include <mpi.h>
static inline MPI_Comm cmpi_comm_world(void) { return MPI_COMM_WORLD; }
