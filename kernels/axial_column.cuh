// The gradient of a volume at the voxels of a thread that marches along i.
#pragma once
#include "volume.cuh"

// Register queue along i of one voxel of one image.
struct AxialColumn {
    float previous, centre, next;

    // The gradient at `at`, as GradientStencil has it.
    __device__ Vector
    gradient(AxisDifference i, AxisDifference j, AxisDifference k, const float* __restrict__ at) const {
        return {
            i.per_distance * ((i.above ? next : centre) - (i.below ? previous : centre)), j.difference(at),
            k.difference(at)};
    }

    // Shift along i by one voxel, of which this is the next one.
    __device__ void advance(const float* __restrict__ newest) {
        previous = centre, centre = next, next = __ldg(newest);
    }
};

// The column before the first voxel that it is advanced to, voxel i at `at`.
__device__ inline AxialColumn column_before(const float* __restrict__ at, int i, int plane) {
    return {0.0f, __ldg(at - (i ? plane : 0)), __ldg(at)};
}
