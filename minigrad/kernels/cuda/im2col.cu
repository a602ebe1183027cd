// Windows of images as columns, and columns summed back into images. Sizes have three dimensions (1 in front of fewer).
// Strides are in elements, I counts threads. A window is made by one thread, over all taps of the kernel.

struct Geometry {
  I depth, height, width;           // of the images
  I out_d, out_h, out_w;            // window positions
  I kernel_d, kernel_h, kernel_w;
  I stride_d, stride_h, stride_w;
  I pad_d, pad_h, pad_w;
  I step_d, step_h, step_w;         // dilation
};

#define GEOMETRY                                                                                       \
  long long depth, long long height, long long width, long long out_d, long long out_h, long long out_w, \
      long long kernel_d, long long kernel_h, long long kernel_w, long long stride_d, long long stride_h, \
      long long stride_w, long long pad_d, long long pad_h, long long pad_w, long long step_d,         \
      long long step_h, long long step_w
#define GIVEN                                                                                          \
  {(I)depth, (I)height, (I)width, (I)out_d, (I)out_h, (I)out_w, (I)kernel_d, (I)kernel_h, (I)kernel_w, \
   (I)stride_d, (I)stride_h, (I)stride_w, (I)pad_d, (I)pad_h, (I)pad_w, (I)step_d, (I)step_h, (I)step_w}

// Where channel c and position p of image n stand in columns: groups of `inner` channels, taps `tap` apart.
struct Columns {
  long long image, group, channel, position, tap;
  I inner;
  __device__ __forceinline__ long long at(I n, I c, I p) const {
    return n * image + c / inner * group + c % inner * channel + p * position;
  }
};

#define COLUMNS                                                                                        \
  long long column_n, long long column_g, long long column_c, long long column_p, long long column_t, long long inner
#define COLUMNS_GIVEN {column_n, column_g, column_c, column_p, column_t, (I)inner}
#define IMAGE long long stride_n, long long stride_c, long long image_d, long long image_h, long long image_w

// Thread -> (image, channel, position), the channel running fastest with `last`.
__device__ __forceinline__ void split(I i, I channels, I positions, bool last, I* n, I* c, I* p) {
  I fast = last ? channels : positions, slow = last ? positions : channels;
  I low = i % fast, high = i / fast;
  *n = high / slow;
  high = high % slow;
  *c = last ? low : high;
  *p = last ? high : low;
}

extern "C" __global__ void im2col(T* columns, const T* x, long long threads, long long channels, long long last, IMAGE,
                                  COLUMNS, GEOMETRY) {
  Geometry s = GIVEN;
  Columns to = COLUMNS_GIVEN;
  FOR_EACH(i, threads) {
    I n, c, p;
    split((I)i, (I)channels, s.out_d * s.out_h * s.out_w, last, &n, &c, &p);
    T* column = columns + to.at(n, c, p);
    const T* image = x + n * stride_n + c * stride_c;
    I row = p / s.out_w;
    I d = row / s.out_h * s.stride_d - s.pad_d, h = row % s.out_h * s.stride_h - s.pad_h;
    I w = p % s.out_w * s.stride_w - s.pad_w;
    for (I kd = 0; kd < s.kernel_d; kd++) {
      I at_d = d + kd * s.step_d;
      for (I kh = 0; kh < s.kernel_h; kh++) {
        I at_h = h + kh * s.step_h;
        bool inside = at_d >= 0 && at_d < s.depth && at_h >= 0 && at_h < s.height;
        const T* line = image + at_d * image_d + at_h * image_h;
        for (I kw = 0; kw < s.kernel_w; kw++) {
          I at_w = w + kw * s.step_w;
          *column = inside && at_w >= 0 && at_w < s.width ? line[at_w * image_w] : (T)0.0f;
          column += to.tap;
        }
      }
    }
  }
}

// The window that meets position `at` with one tap; -1 where there is none.
__device__ __forceinline__ I window(I at, I stride, I count) {
  if (at < 0) return -1;
  if (stride > 1) {
    if (at % stride) return -1;
    at /= stride;
  }
  return at < count ? at : -1;
}

// Gathered: every position of an image sums the taps that met it, always in the same order.
extern "C" __global__ void col2im(T* x, const T* columns, long long threads, long long channels, long long last, IMAGE,
                                  COLUMNS, GEOMETRY) {
  Geometry s = GIVEN;
  Columns from = COLUMNS_GIVEN;
  FOR_EACH(i, threads) {
    I n, c, p;
    split((I)i, (I)channels, s.depth * s.height * s.width, last, &n, &c, &p);
    const T* image = columns + from.at(n, c, 0);
    I row = p / s.width;
    I w = p % s.width, h = row % s.height, d = row / s.height;
    A sum = 0;
    for (I kd = 0; kd < s.kernel_d; kd++) {
      I out_d = window(d + s.pad_d - kd * s.step_d, s.stride_d, s.out_d);
      if (out_d < 0) continue;
      for (I kh = 0; kh < s.kernel_h; kh++) {
        I out_h = window(h + s.pad_h - kh * s.step_h, s.stride_h, s.out_h);
        if (out_h < 0) continue;
        long long line = ((long long)out_d * s.out_h + out_h) * s.out_w;
        long long tap = ((long long)kd * s.kernel_h + kh) * s.kernel_w;
        for (I kw = 0; kw < s.kernel_w; kw++) {
          I out_w = window(w + s.pad_w - kw * s.step_w, s.stride_w, s.out_w);
          if (out_w >= 0) sum += load(image + (line + out_w) * from.position + (tap + kw) * from.tap);
        }
      }
    }
    store(x + n * stride_n + c * stride_c + d * image_d + h * image_h + w * image_w, sum);
  }
}
