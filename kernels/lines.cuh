// Voxels of a line one after the other, for kernels that work along an axis.
#pragma once
#include "volume.cuh"

// A line that goes on for ever as the voxels at its ends.
struct Line {
    const float* from;
    long long step;
    int at, last;

    Line() = default;

    __device__ Line(const float* line, long long step, int first, int n)
        : from(line + clamped(first, n) * step), step(step), at(first), last(n - 1) {}

    __device__ float next() {
        float voxel = __ldg(from);
        if (at >= 0 && at < last) from += step;
        at++;
        return voxel;
    }
};

// A line in shared memory.
struct Near {
    const float* from;

    __device__ float next() { return *from++; }
};
