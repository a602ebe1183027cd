// Before every source: T is the type in memory, A the type sums are made in. Scalars come as long long and double.
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
#define WARP 32
// Each thread takes every (number of threads)-th index below n.
#define FOR_EACH(i, n)                                                                   \
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (n);          \
       i += (long long)gridDim.x * blockDim.x)

template <typename S> __device__ __forceinline__ A load(const S* p) { return (A)*p; }
template <typename S> __device__ __forceinline__ void store(S* p, A value) { *p = (S)value; }

struct Sum {
  template <typename S> __device__ __forceinline__ S operator()(S a, S b) const { return a + b; }
};
struct Max {  // NaN wins
  template <typename S> __device__ __forceinline__ S operator()(S a, S b) const { return a > b || a != a ? a : b; }
};

template <typename S, typename Op> __device__ __forceinline__ S warp_reduce(S value, Op op) {
  for (int step = WARP / 2; step; step >>= 1) value = op(value, __shfl_xor_sync(0xffffffffu, value, step));
  return value;
}

// The result in every thread of the block; blockDim.x is a multiple of 32, and all threads call it.
template <typename S, typename Op> __device__ S block_reduce(S value, Op op, S none) {
  __shared__ S parts[WARP];
  int thread = threadIdx.x, warps = blockDim.x / WARP;
  value = warp_reduce(value, op);
  __syncthreads();  // parts may still be read from the call before
  if (thread % WARP == 0) parts[thread / WARP] = value;
  __syncthreads();
  value = thread % WARP < warps ? parts[thread % WARP] : none;
  return warp_reduce(value, op);
}

template <typename S> __device__ __forceinline__ S warp_sum(S value) { return warp_reduce(value, Sum()); }
template <typename S> __device__ __forceinline__ S warp_max(S value) { return warp_reduce(value, Max()); }
template <typename S> __device__ __forceinline__ S block_sum(S value) { return block_reduce(value, Sum(), (S)0); }
template <typename S> __device__ __forceinline__ S block_max(S value) {
  return block_reduce(value, Max(), (S)-INFINITY);
}
