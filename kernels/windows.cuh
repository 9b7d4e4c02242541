// Sums over windows of 2 RADIUS + 1 voxels along an axis.
#pragma once

// COUNT neighbouring windows of 2 RADIUS + 1 numbers each, which share the numbers that lie in all of them.
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

// Sums over the windows along i of one channel that are not complete yet.
struct Window {
    float unfinished[2 * RADIUS + 1];

    // Takes the sums of plane i in and returns those around plane i - RADIUS. Every sum moves down by one place.
    __device__ float add(float fresh) {
        unfinished[2 * RADIUS] = 0.0f;
        float done = unfinished[0] + fresh;
#pragma unroll
        for (int s = 0; s < 2 * RADIUS; s++) unfinished[s] = unfinished[s + 1] + fresh;
        return done;
    }
};

// Voxels of the window around voxel i that an axis of n voxels has.
__device__ inline int overlap(int i, int n) {
    int low = i - RADIUS > 0 ? i - RADIUS : 0, high = i + RADIUS < n - 1 ? i + RADIUS : n - 1;
    return high - low + 1;
}
