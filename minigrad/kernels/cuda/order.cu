// x (batch, rows, columns) -> out (batch, columns, rows), through tiles in shared memory: both are read and written in
// whole lines.
#define TILE 32

extern "C" __global__ void transpose(T* out, const T* x, long long batch, long long rows, long long columns) {
  __shared__ T tile[TILE][TILE + 1];  // one more column, so that a column's elements lie in different banks
  long long down = (rows + TILE - 1) / TILE, across = (columns + TILE - 1) / TILE;
  int low = threadIdx.x % TILE, high = threadIdx.x / TILE, step = blockDim.x / TILE;
  for (long long i = blockIdx.x; i < batch * down * across; i += gridDim.x) {
    long long start = i / (down * across) * rows * columns;
    long long row = i / across % down * TILE, column = i % across * TILE;
    for (int k = high; k < TILE; k += step)
      if (row + k < rows && column + low < columns) tile[k][low] = x[start + (row + k) * columns + column + low];
    __syncthreads();
    for (int k = high; k < TILE; k += step)
      if (column + k < columns && row + low < rows) out[start + (column + k) * rows + row + low] = tile[low][k];
    __syncthreads();
  }
}
