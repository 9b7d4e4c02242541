// Iterators over the voxels of a line, for filters along an axis.
#pragma once
#include "volume.cuh"

// Iterates over a line in global memory, clamped at its ends.
struct ClampedLine {
    const float* from;
    long long step;
    int at, last;

    ClampedLine() = default;

    __device__ ClampedLine(const float* line, long long step, int first, int n)
        : from(line + clamped(first, n) * step), step(step), at(first), last(n - 1) {}

    __device__ float next() {
        float voxel = __ldg(from);
        if (at >= 0 && at < last) from += step;
        at++;
        return voxel;
    }
};

// Iterates over a line in shared memory.
struct SharedLine {
    const float* from;

    __device__ float next() { return *from++; }
};
