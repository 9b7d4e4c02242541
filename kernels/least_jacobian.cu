// Least Jacobian determinant of the ten tetrahedra at every voxel: above 0 everywhere, the map is a digital
// diffeomorphism (Liu et al. 2024, doi:10.1007/s11263-024-02047-1). Called by CudaBackend.least_jacobian; `out` is the
// caller's. A thread is a voxel. Moves 12 bytes in and 4 out per voxel; the neighbours come from caches.
#include "tetrahedra.cuh"

extern "C" __global__ void __launch_bounds__(256) least_jacobian(
    const float* __restrict__ field,  // (3, ni, nj, nk), voxels
    float* __restrict__ out,          // (ni, nj, nk)
    int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    if (!contains(box, v)) return;
    float least = __int_as_float(0x7f800000);  // infinity
#pragma unroll
    for (int t = 0; t < TETRAHEDRA; t++) {
        Tetrahedron one(field, box, v, t);
        float determinant = scale(t) * dot(one.edges[0], cross(one.edges[1], one.edges[2]));
        if (one.exists && !(determinant >= least)) least = determinant;
    }
    out[box.at(v.i, v.j, v.k)] = least;
}
