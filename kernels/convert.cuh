// Values of every dtype that scipy.ndimage takes, stored as it stores them.
#pragma once

enum Type { BOOL, INT8, UINT8, INT16, UINT16, INT32, UINT32, INT64, UINT64, FLOAT32, FLOAT64, SAME_TYPE };

// Rounded half away from zero and clamped; NaN converts as on x86.
template <typename T>
__device__ inline T rounded(double x) {
    constexpr bool SIGNED = T(-1) < T(0);
    constexpr int BITS = 8 * sizeof(T) - (SIGNED ? 1 : 0);
    constexpr unsigned long long TOP = ~0ull >> (64 - BITS);
    constexpr double UPPER_LIMIT = 2.0 * (1ull << (BITS - 1));  // TOP + 1
    constexpr T LOWEST = SIGNED ? T(~TOP) : T(0);
    if (x != x) return sizeof(T) < 4 ? T(0) : LOWEST;
    x = x > 0.0 ? x + 0.5 : SIGNED ? x - 0.5 : 0.0;
    return x >= UPPER_LIMIT ? T(TOP) : x < (SIGNED ? -UPPER_LIMIT : 0.0) ? LOWEST : T(x);
}

__device__ inline void store(unsigned char* to, int type, double x) {
    switch (type) {
        case BOOL: *to = x <= -1.0 || x >= 1.0; break;  // truncated
        case INT8: *(signed char*)to = rounded<signed char>(x); break;
        case UINT8: *to = rounded<unsigned char>(x); break;
        case INT16: *(short*)to = rounded<short>(x); break;
        case UINT16: *(unsigned short*)to = rounded<unsigned short>(x); break;
        case INT32: *(int*)to = rounded<int>(x); break;
        case UINT32: *(unsigned*)to = rounded<unsigned>(x); break;
        case INT64: *(long long*)to = rounded<long long>(x); break;
        case UINT64: *(unsigned long long*)to = rounded<unsigned long long>(x); break;
        case FLOAT32: *(float*)to = (float)x; break;
        default: *(double*)to = x;
    }
}

// Stores the lowest `width` bytes of `bits`.
__device__ inline void store_bits(unsigned char* to, int width, unsigned long long bits) {
    switch (width) {
        case 1: *to = (unsigned char)bits; break;
        case 2: *(unsigned short*)to = (unsigned short)bits; break;
        case 4: *(unsigned*)to = (unsigned)bits; break;
        default: *(unsigned long long*)to = bits;
    }
}
