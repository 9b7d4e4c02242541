// Sums over windows of 2 RADIUS + 1 voxels along an axis.
#pragma once

// Sums of COUNT neighbouring windows, which share the sum of the numbers that lie in all of them.
template <int COUNT>
__device__ inline void sum_windows(const float* from, float sums[COUNT]) {
    constexpr int WIDTH = 2 * RADIUS + 1;
    float shared = 0.0f;
#pragma unroll
    for (int t = COUNT - 1; t < WIDTH; t++) shared += from[t];
#pragma unroll
    for (int n = 0; n < COUNT; n++) {
        sums[n] = shared;
#pragma unroll
        for (int t = n; t < n + WIDTH; t++)
            if (t < COUNT - 1 || t >= WIDTH) sums[n] += from[t];
    }
}

// Running sums of one channel over windows along i, of which the oldest is complete after 2 RADIUS + 1 planes.
struct RunningSum {
    float partial_sums[2 * RADIUS + 1];

    // Adds plane i and returns the sum around plane i - RADIUS; shifts the others by one.
    __device__ float push(float value) {
        partial_sums[2 * RADIUS] = 0.0f;
        float complete = partial_sums[0] + value;
#pragma unroll
        for (int s = 0; s < 2 * RADIUS; s++) partial_sums[s] = partial_sums[s + 1] + value;
        return complete;
    }
};

// Voxels of the window around voxel i within an axis of n voxels.
__device__ inline int overlap(int i, int n) {
    int low = i - RADIUS > 0 ? i - RADIUS : 0, high = i + RADIUS < n - 1 ? i + RADIUS : n - 1;
    return high - low + 1;
}
