// Values of every type that scipy.ndimage takes, stored as it stores them.
#pragma once

enum Kind { BOOL, INT8, UINT8, INT16, UINT16, INT32, UINT32, INT64, UINT64, FLOAT32, FLOAT64, AS_IT_IS };

// Rounded half away from zero and clamped; what NaN becomes is what it becomes on an x86.
template <typename T>
__device__ inline T whole(double x) {
    constexpr bool SIGNED = T(-1) < T(0);
    constexpr int BITS = 8 * sizeof(T) - (SIGNED ? 1 : 0);
    constexpr unsigned long long TOP = ~0ull >> (64 - BITS);
    constexpr double BEYOND = 2.0 * (1ull << (BITS - 1));  // TOP + 1
    constexpr T LOWEST = SIGNED ? T(~TOP) : T(0);
    if (x != x) return sizeof(T) < 4 ? T(0) : LOWEST;
    x = x > 0.0 ? x + 0.5 : SIGNED ? x - 0.5 : 0.0;
    return x >= BEYOND ? T(TOP) : x < (SIGNED ? -BEYOND : 0.0) ? LOWEST : T(x);
}

__device__ inline void store(unsigned char* to, int kind, double x) {
    switch (kind) {
        case BOOL: *to = x <= -1.0 || x >= 1.0; break;  // cut off towards zero
        case INT8: *(signed char*)to = whole<signed char>(x); break;
        case UINT8: *to = whole<unsigned char>(x); break;
        case INT16: *(short*)to = whole<short>(x); break;
        case UINT16: *(unsigned short*)to = whole<unsigned short>(x); break;
        case INT32: *(int*)to = whole<int>(x); break;
        case UINT32: *(unsigned*)to = whole<unsigned>(x); break;
        case INT64: *(long long*)to = whole<long long>(x); break;
        case UINT64: *(unsigned long long*)to = whole<unsigned long long>(x); break;
        case FLOAT32: *(float*)to = (float)x; break;
        default: *(double*)to = x;
    }
}

// The lowest `width` bytes of `bits`.
__device__ inline void store_bits(unsigned char* to, int width, unsigned long long bits) {
    switch (width) {
        case 1: *to = (unsigned char)bits; break;
        case 2: *(unsigned short*)to = (unsigned short)bits; break;
        case 4: *(unsigned*)to = (unsigned)bits; break;
        default: *(unsigned long long*)to = bits;
    }
}
