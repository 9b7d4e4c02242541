// Bins of a joint histogram over grey values: `low` lies at the centre of the second one, `high` at that of the last
// but one. The outermost bins stay empty, so that a window of three bins around any voxel lies in the histogram.
#pragma once

struct Span {
    float low, high, scale;  // scale: bins per unit of the image
};

// The bin below a value, and how far the value lies above its centre, in bins.
struct Bin {
    int below;
    float above;

    __device__ Bin(float value, Span span, int bins) {
        float at = fminf(fmaxf((value - span.low) * span.scale, 0.0f), (float)(bins - 3));
        int whole = (int)at < bins - 4 ? (int)at : bins - 4;
        below = whole + 1, above = at - (float)whole;
    }
};
