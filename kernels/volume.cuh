// Shared by all kernels: layout of volumes and fields, border rules, linear interpolation, differences. Headers are
// inlined into each source before it is compiled, so that a cache never misses a change.
// Volumes are float (ni, nj, nk), fields float (3, ni, nj, nk) in voxels, both C-contiguous; threadIdx.x runs along k,
// the fastest axis. Flat indices are 64-bit. Rules: docs/conventions.md.
#pragma once

constexpr int BLOCK_K = 32;  // threads of a block along k ...
constexpr int BLOCK_J = 8;   // ... and along j, in kernels that give each thread a voxel
constexpr int BLOCK = 256;   // threads of a block in kernels over points, and in reductions

struct Box {
    int ni, nj, nk;

    __device__ long long size() const { return (long long)ni * nj * nk; }
    __device__ long long at(int i, int j, int k) const { return ((long long)i * nj + j) * nk + k; }
};

struct Voxel {
    int i, j, k;
};

// Output voxel to input voxel: rows of (3, 4), in double so that 1024 voxels a side lose nothing.
struct Matrix {
    double m[12];

    __device__ double row(int r, double x, double y, double z) const {
        return m[4 * r] * x + m[4 * r + 1] * y + m[4 * r + 2] * z + m[4 * r + 3];
    }
};

__device__ inline Voxel thread_voxel() {
    return {(int)blockIdx.z, (int)(blockIdx.y * BLOCK_J + threadIdx.y), (int)(blockIdx.x * BLOCK_K + threadIdx.x)};
}

// The voxels of a thread in kernels over several volumes in which it takes the same voxel of several planes. Blocks along
// z count the slabs of all volumes.
struct Slab {
    long long volume;  // index
    Voxel first;

    __device__ Voxel plane(int n) const { return {first.i + n, first.j, first.k}; }
};

template <int THICK>
__device__ inline Slab thread_slab(Box box) {
    int slabs = (box.ni + THICK - 1) / THICK, volume = (int)blockIdx.z / slabs;
    Voxel v = thread_voxel();
    return {volume, {((int)blockIdx.z - volume * slabs) * THICK, v.j, v.k}};
}

__device__ inline bool contains(Box box, Voxel v) { return v.i < box.ni && v.j < box.nj && v.k < box.nk; }

__device__ inline int clamped(int i, int n) {
    int high = i < n - 1 ? i : n - 1;
    return high > 0 ? high : 0;
}

// ITK's rule: a coordinate is inside up to half a voxel beyond the outer centres; NaN is not.
template <typename Real>
__device__ inline bool inside(Real x, int n) {
    return x >= Real(-0.5) && x < Real(n) - Real(0.5);
}

// Index i mirrored about the centres of the first and last voxel.
__device__ inline int mirrored(int i, int n) {
    if (n == 1) return 0;
    int period = 2 * (n - 1);
    i = (i < 0 ? -i : i) % period;
    return i >= n ? period - i : i;
}

// -- linear interpolation ---------------------------------------------------------------------------------------

// The two voxels around a coordinate, both inside the axis, and the weight of the upper one.
struct Bracket {
    int low, high;
    float weight;
};

constexpr float FAR_OUTSIDE = 1e9f;  // beyond any border, and still in the range of int

// Around i + shift, clamped at the border; exact for any i, since whole and fractional part are never added up.
__device__ inline Bracket bracket(int i, float shift, int n) {
    float bounded = fminf(fmaxf(shift, -FAR_OUTSIDE), FAR_OUTSIDE);  // NaN becomes -FAR_OUTSIDE
    float whole = floorf(bounded);
    int base = i + (int)whole;
    return {clamped(base, n), clamped(base + 1, n), bounded - whole};
}

// Around x, clamped to [0, n - 1]; NaN becomes 0.
__device__ inline Bracket bracket(double x, int n) {
    double bounded = fmin(fmax(x, 0.0), n - 1.0);
    int base = (int)bounded;
    return {base, base + 1 < n ? base + 1 : base, (float)(bounded - base)};
}

__device__ inline float lerp(float a, float b, float weight) { return a + weight * (b - a); }

// The eight voxels around a point: offset of the lowest and strides to the others. Strides have 32 bits, enough for a
// plane of any volume, so that an address costs one instruction.
struct TrilinearCell {
    long long at;
    int i, j, k;
    float wi, wj, wk;

    __device__ TrilinearCell(Box box, Bracket x, Bracket y, Bracket z)
        : at(box.at(x.low, y.low, z.low)),
          i((x.high - x.low) * box.nj * box.nk),
          j((y.high - y.low) * box.nk),
          k(z.high - z.low),
          wi(x.weight),
          wj(y.weight),
          wk(z.weight) {}

    __device__ float along_k(const float* __restrict__ from, int step) const {
        return lerp(__ldg(from + step), __ldg(from + (step + k)), wk);
    }

    // Trilinear interpolation.
    __device__ float of(const float* __restrict__ volume) const {
        const float* from = volume + at;
        float first_plane = lerp(along_k(from, 0), along_k(from, j), wj);
        return lerp(first_plane, lerp(along_k(from, i), along_k(from, i + j), wj), wi);
    }
};

struct Vector {
    float x, y, z;
};

__device__ inline Vector vector_at(const float* __restrict__ field, Box box, Voxel v) {
    long long at = box.at(v.i, v.j, v.k), n = box.size();
    return {__ldg(field + at), __ldg(field + at + n), __ldg(field + at + 2 * n)};
}

__device__ inline void store(float* __restrict__ field, Box box, Voxel v, Vector u) {
    long long at = box.at(v.i, v.j, v.k), n = box.size();
    field[at] = u.x;
    field[at + n] = u.y;
    field[at + 2 * n] = u.z;
}

// A field at voxel + shift, linear, clamped at the border.
__device__ inline Vector sample_vector(const float* __restrict__ field, Box box, Voxel v, Vector shift) {
    TrilinearCell cell(
        box, bracket(v.i, shift.x, box.ni), bracket(v.j, shift.y, box.nj), bracket(v.k, shift.z, box.nk));
    long long n = box.size();
    return {cell.of(field), cell.of(field + n), cell.of(field + 2 * n)};
}

// Loads QUADS aligned float4.
template <int QUADS>
__device__ inline void load(const float* from, float to[4 * QUADS]) {
#pragma unroll
    for (int q = 0; q < QUADS; q++) {
        float4 four = reinterpret_cast<const float4*>(from)[q];
        to[4 * q] = four.x, to[4 * q + 1] = four.y, to[4 * q + 2] = four.z, to[4 * q + 3] = four.w;
    }
}

// -- differences ------------------------------------------------------------------------------------------------

// Difference along one axis: strides to both neighbours, 0 beyond its ends, and 1 / their distance.
struct AxisDifference {
    int above, below;
    float per_distance;

    __device__ AxisDifference(int i, int n, int stride)
        : above(i + 1 < n ? stride : 0), below(i > 0 ? stride : 0), per_distance(above && below ? 0.5f : 1.0f) {}

    __device__ float difference(const float* __restrict__ at) const {
        return per_distance * (__ldg(at + above) - __ldg(at - below));
    }
};

// Six-point stencil: differences central, one-sided at the faces, 0 along an axis of one voxel.
struct GradientStencil {
    long long at;
    AxisDifference i, j, k;

    __device__ GradientStencil(Box box, Voxel v)
        : at(box.at(v.i, v.j, v.k)), i(v.i, box.ni, box.nj * box.nk), j(v.j, box.nj, box.nk), k(v.k, box.nk, 1) {}

    __device__ Vector gradient(const float* __restrict__ volume) const {
        return {i.difference(volume + at), j.difference(volume + at), k.difference(volume + at)};
    }
};

// Whether a voxel is an outermost one; axes of one voxel have none.
__device__ inline bool is_on_face(Box box, Voxel v) {
    return (box.ni > 1 && (v.i == 0 || v.i == box.ni - 1)) || (box.nj > 1 && (v.j == 0 || v.j == box.nj - 1)) ||
           (box.nk > 1 && (v.k == 0 || v.k == box.nk - 1));
}
