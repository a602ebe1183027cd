// Pooling of x (N, C, D, H, W), in memory in that order (LAYOUT 0) or as (N, D, H, W, C) with channels one by one (1) or
// in packs of 16 bytes (2), of which a thread takes one. Windows: K kernel, S stride, P padding, L dilation, each with
// D, H, W; WINDOW 32, 31, 22 stands for those of 3 x 3 or 2 x 2 with stride 2 or 1, which are compiled as constants,
// 0 for any. Results are gathered, hence every one is the work of one thread, in one order.

#define LAST (LAYOUT != 0)
constexpr int V = LAYOUT == 2 ? 16 / sizeof(T) : 1;

#if LAST
#define STEP (channels)  // packs from one place of a plane to the next
#else
#define STEP 1
#endif

struct alignas(sizeof(T) * V) Pack {
    T value[V];
};

template <typename C> struct alignas(sizeof(C) * V) Codes {
    C value[V];
};

struct Triple {  // numbers for D, H, W, of 21 bits each
    int d, h, w;
    __device__ Triple(long long packed)
        : d(packed >> 42 & 0x1fffff), h(packed >> 21 & 0x1fffff), w(packed & 0x1fffff) {}
    __device__ Triple(int d, int h, int w) : d(d), h(h), w(w) {}
    __device__ long long product() const { return (long long)d * h * w; }
};

#define GEOMETRY \
    long long total, long long channels, long long size, long long count, long long kernel, long long stride, \
        long long padding, long long dilation
#if WINDOW
#define SIDE (WINDOW / 10)
#define MOVE (WINDOW % 10)
#define WINDOWS \
        const Triple x_size(size), out_size(count), k(1, SIDE, SIDE), s(1, MOVE, MOVE), p(padding)
#define DILATION const Triple l(1, 1, 1)
#else
#define WINDOWS const Triple x_size(size), out_size(count), k(kernel), s(stride), p(padding)
#define DILATION const Triple l(dilation)
#endif

// Where in an array (planes, D, H, W) a thread's element is.
struct Place {
    int w, h, d;
    long long origin;  // of its plane in an array whose planes have `other` places
    bool here;

    __device__ Place(long long total, int channels, const Triple& size, const Triple& other) {
        long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
        here = index < total;
        unsigned rest = (unsigned)index;
#if LAST
        unsigned channel = rest % channels;
        rest /= channels;
#endif
        w = rest % size.w;
        rest /= size.w;
        h = rest % size.h;
        rest /= size.h;
#if WINDOW
        d = 0;
#else
        d = rest % size.d;
        rest /= size.d;
#endif
#if LAST
        origin = rest * other.product() * channels + channel;
#else
        origin = rest * other.product();
#endif
    }
};

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)
#define AT(origin, d, y, x, size) ((origin) + (((long long)(d) * (size).h + (y)) * (size).w + (x)) * STEP)

// The windows from `first` to `last` along one dimension that may cover a position.
__device__ int first_window(int position, int kernel, int stride, int padding, int dilation) {
    int free = position + padding - (kernel - 1) * dilation;
    return free <= 0 ? 0 : (free + stride - 1) / stride;
}

__device__ int last_window(int position, int stride, int padding, int count) {
    int last = (position + padding) / stride;
    return last < count ? last : count - 1;
}

// Maxima and, unless codes is null, the places in their windows: the first of equal ones, the last NaN.
template <typename C> __device__ void maxima(const Pack* x, Pack* out, Codes<C>* codes, GEOMETRY) {
    WINDOWS;
    DILATION;
    Place place(total, channels, out_size, x_size);
    if (!place.here) return;
    int d0 = place.d * s.d - p.d, h0 = place.h * s.h - p.h, w0 = place.w * s.w - p.w;
    A best[V];
    int code[V];
    int start = (((d0 < 0 ? (l.d - 1 - d0) / l.d : 0) * k.h) + (h0 < 0 ? (l.h - 1 - h0) / l.h : 0)) * k.w;
    start += w0 < 0 ? (l.w - 1 - w0) / l.w : 0;
    for (int v = 0; v < V; ++v) {
        best[v] = -INFINITY;
        code[v] = start;
    }
    for (int i = 0; i < k.d; ++i) {
        int d = d0 + i * l.d;
        if (d < 0 || d >= x_size.d) continue;
        for (int j = 0; j < k.h; ++j) {
            int h = h0 + j * l.h;
            if (h < 0 || h >= x_size.h) continue;
            for (int m = 0; m < k.w; ++m) {
                int w = w0 + m * l.w;
                if (w < 0 || w >= x_size.w) continue;
                Pack pack = x[AT(place.origin, d, h, w, x_size)];
                for (int v = 0; v < V; ++v) {
                    A value = (A)pack.value[v];
                    if (value > best[v] || value != value) {
                        best[v] = value;
                        code[v] = (i * k.h + j) * k.w + m;
                    }
                }
            }
        }
    }
    Pack result;
    Codes<C> places;
    for (int v = 0; v < V; ++v) {
        result.value[v] = (T)(best[v]);
        places.value[v] = (C)code[v];
    }
    out[INDEX] = result;
    if (codes != nullptr) codes[INDEX] = places;
}

// Each element of g where its window's maximum was.
template <typename C>
__device__ void scattered(const Pack* g, const Codes<C>* codes, Pack* out, GEOMETRY) {
    WINDOWS;
    DILATION;
    Place place(total, channels, x_size, out_size);
    if (!place.here) return;
    A sum[V];
    for (int v = 0; v < V; ++v) sum[v] = 0;
    int d1 = last_window(place.d, s.d, p.d, out_size.d), h1 = last_window(place.h, s.h, p.h, out_size.h);
    int w1 = last_window(place.w, s.w, p.w, out_size.w);
    for (int d = first_window(place.d, k.d, s.d, p.d, l.d); d <= d1; ++d) {
        int i = place.d + p.d - d * s.d;
        if (i % l.d) continue;
        for (int h = first_window(place.h, k.h, s.h, p.h, l.h); h <= h1; ++h) {
            int j = place.h + p.h - h * s.h;
            if (j % l.h) continue;
            for (int w = first_window(place.w, k.w, s.w, p.w, l.w); w <= w1; ++w) {
                int m = place.w + p.w - w * s.w;
                if (m % l.w) continue;
                int mine = (i / l.d * k.h + j / l.h) * k.w + m / l.w;
                long long at = AT(place.origin, d, h, w, out_size);
                Codes<C> code = codes[at];
                Pack pack = g[at];
                for (int v = 0; v < V; ++v) {
                    if (code.value[v] == mine) sum[v] += (A)pack.value[v];
                }
            }
        }
    }
    Pack result;
    for (int v = 0; v < V; ++v) result.value[v] = (T)(sum[v]);
    out[INDEX] = result;
}

// Where in its plane each maximum is: values, or with x null the position itself.
template <typename C>
__device__ void gathered(const T* x, const C* codes, T* out, long long* positions, GEOMETRY) {
    WINDOWS;
    DILATION;
    Place place(total, channels, out_size, x_size);
    if (!place.here) return;
    int code = codes[INDEX];
    int w = place.w * s.w - p.w + code % k.w * l.w;
    int h = place.h * s.h - p.h + code / k.w % k.h * l.h;
    int d = place.d * s.d - p.d + code / (k.w * k.h) * l.d;
    if (positions != nullptr) {
        positions[INDEX] = ((long long)d * x_size.h + h) * x_size.w + w;
        return;
    }
    bool inside = d >= 0 && d < x_size.d && h >= 0 && h < x_size.h && w >= 0 && w < x_size.w;
    out[INDEX] = inside ? x[AT(place.origin, d, h, w, x_size)] : (T)(A)0;
}

#define PASSED total, channels, size, count, kernel, stride, padding, dilation

// Codes are int, with `ints`, or bytes.
extern "C" __global__ void max_forward(const Pack* x, Pack* out, void* codes, long long ints,
                                       long long total, long long channels, long long size, long long count,
                                       long long kernel, long long stride, long long padding, long long dilation) {
    if (ints) maxima(x, out, (Codes<int>*)codes, PASSED);
    else maxima(x, out, (Codes<unsigned char>*)codes, PASSED);
}

extern "C" __global__ void max_scatter(const Pack* g, const void* codes, Pack* out, long long ints,
                                       long long total, long long channels, long long size, long long count,
                                       long long kernel, long long stride, long long padding, long long dilation) {
    if (ints) scattered(g, (const Codes<int>*)codes, out, PASSED);
    else scattered(g, (const Codes<unsigned char>*)codes, out, PASSED);
}

extern "C" __global__ void max_gather(const T* x, const void* codes, T* out, long long* positions, long long ints,
                                      long long total, long long channels, long long size, long long count,
                                      long long kernel, long long stride, long long padding, long long dilation) {
    if (ints) gathered(x, (const int*)codes, out, positions, PASSED);
    else gathered(x, (const unsigned char*)codes, out, positions, PASSED);
}

// Sums of the windows over the divisor, or over the window's own number.
extern "C" __global__ void mean_forward(const Pack* x, Pack* out, const A* divisors, double divisor,
                                        long long total, long long channels, long long size, long long count,
                                        long long kernel, long long stride, long long padding, long long dilation) {
    WINDOWS;
    Place place(total, channels, out_size, x_size);
    if (!place.here) return;
    A sum[V];
    for (int v = 0; v < V; ++v) sum[v] = 0;
    for (int i = 0; i < k.d; ++i) {
        int d = place.d * s.d - p.d + i;
        if (d < 0 || d >= x_size.d) continue;
        for (int j = 0; j < k.h; ++j) {
            int h = place.h * s.h - p.h + j;
            if (h < 0 || h >= x_size.h) continue;
            for (int m = 0; m < k.w; ++m) {
                int w = place.w * s.w - p.w + m;
                if (w < 0 || w >= x_size.w) continue;
                Pack pack = x[AT(place.origin, d, h, w, x_size)];
                for (int v = 0; v < V; ++v) sum[v] += (A)pack.value[v];
            }
        }
    }
    A divided = divisors == nullptr ? (A)divisor : divisors[(place.d * out_size.h + place.h) * out_size.w + place.w];
    Pack result;
    for (int v = 0; v < V; ++v) result.value[v] = (T)(sum[v] / divided);
    out[INDEX] = result;
}

// The adjoint of mean_forward.
extern "C" __global__ void mean_spread(const Pack* g, Pack* out, const A* divisors, double divisor,
                                       long long total, long long channels, long long size, long long count,
                                       long long kernel, long long stride, long long padding, long long dilation) {
    WINDOWS;
    Place place(total, channels, x_size, out_size);
    if (!place.here) return;
    A sum[V];
    for (int v = 0; v < V; ++v) sum[v] = 0;
    int d1 = last_window(place.d, s.d, p.d, out_size.d), h1 = last_window(place.h, s.h, p.h, out_size.h);
    int w1 = last_window(place.w, s.w, p.w, out_size.w);
    for (int d = first_window(place.d, k.d, s.d, p.d, 1); d <= d1; ++d) {
        for (int h = first_window(place.h, k.h, s.h, p.h, 1); h <= h1; ++h) {
            for (int w = first_window(place.w, k.w, s.w, p.w, 1); w <= w1; ++w) {
                Pack pack = g[AT(place.origin, d, h, w, out_size)];
                A divided = divisors == nullptr ? (A)divisor : divisors[(d * out_size.h + h) * out_size.w + w];
                for (int v = 0; v < V; ++v) sum[v] += (A)pack.value[v] / divided;
            }
        }
    }
    Pack result;
    for (int v = 0; v < V; ++v) result.value[v] = (T)(sum[v]);
    out[INDEX] = result;
}

// Means of whole planes. A block has `across` columns side by side, packs of channels (LAST) or one plane; the threads
// of a column share its places. Columns: packs of a sample, or all planes.
extern "C" __global__ void mean_whole(const Pack* x, T* out, double divisor, long long area, long long columns,
                                      long long across) {
    __shared__ A sums[256 * V];
    long long groups = (columns + across - 1) / across, sample = blockIdx.x / groups;
    long long column = blockIdx.x % groups * across + threadIdx.x % across;
    const Pack* from = x + sample * area * columns + column;
    A sum[V];
    for (int v = 0; v < V; ++v) sum[v] = 0;
    long long stride = columns;
#if !LAST
    from = x + blockIdx.x * area;
    stride = 1;
#endif
    if (column < columns) {
        for (long long i = threadIdx.x / across; i < area; i += blockDim.x / across) {
            Pack pack = from[i * stride];
            for (int v = 0; v < V; ++v) sum[v] += (A)pack.value[v];
        }
    }
    for (int v = 0; v < V; ++v) sums[threadIdx.x * V + v] = sum[v];
    for (int half = blockDim.x / 2; half >= across; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            for (int v = 0; v < V; ++v) sums[threadIdx.x * V + v] += sums[(threadIdx.x + half) * V + v];
        }
    }
    if (threadIdx.x >= across || column >= columns) return;
#if LAST
    for (int v = 0; v < V; ++v) out[(sample * columns + column) * V + v] = (T)(sums[threadIdx.x * V + v] / (A)divisor);
#else
    A all = 0;
    for (int v = 0; v < V; ++v) all += sums[v];
    out[blockIdx.x] = (T)(all / (A)divisor);
#endif
}
