// Normalisation of x seen as (N, C, S), in memory in that order or, with LAST, as (N, S, C). Statistics, and what a
// channel is multiplied with, are of type A. Memory is read in packs of V elements of one plane, or of one pixel; without
// PACKED in single elements.

#define BLOCK 256
enum { V = PACKED ? 16 / sizeof(T) : 1 };
#if LAST
#define K V  // channels of a thread
#define SLOT(v) (v)
#else
#define K 1
#define SLOT(v) 0
#endif

struct alignas(sizeof(T) * V) Pack {
    T value[V];
};

// The packs that a thread of a block sees: those of one column (a channel, or the V channels of a pack of a pixel), in
// one of the parts that a column is cut into. Threads stand `across` side by side, on neighbouring columns.
struct Walk {
    unsigned index, end, step, column, width, channels, part;

    __device__ Walk(long long channels, long long width, long long length, long long chunk, long long across)
        : step(BLOCK / across), width(width), channels(channels) {
        unsigned columns = LAST ? width : channels, groups = (columns + across - 1) / across;
        part = blockIdx.x / groups;
        column = blockIdx.x % groups * across + threadIdx.x % across;
        index = part * chunk + threadIdx.x / across;
        end = column >= columns ? 0 : (part + 1) * chunk < length ? (part + 1) * chunk : length;
    }

    __device__ bool here() const { return index < end; }

    __device__ void next() { index += step; }

    __device__ long long offset() const {
#if LAST
        return (long long)index * width + column;
#else
        unsigned sample = index / width;
        return ((long long)sample * channels + column) * width + (index - sample * width);
#endif
    }

    // Whether this thread has the sums of its column after they were added up.
    __device__ bool first() const { return threadIdx.x < BLOCK / step && column < (LAST ? width : channels); }
};

struct Moments {
    A count, mean, square;  // square: the sum of (x - mean)^2
};

__device__ Moments joined(Moments a, Moments b) {
    A count = a.count + b.count;
    if (count == 0) return a;
    A delta = b.mean - a.mean, share = b.count / count;
    return {count, a.mean + delta * share, a.square + b.square + delta * delta * a.count * share};
}

// Sums of x and x^2, taken from a thread's own first value, so that no mean is too large for them.
struct Sums {
    A first, sum, square;

    __device__ void start(A x) {
        first = x;
        sum = square = 0;
    }

    __device__ void add(A x) {
        A d = x - first;
        sum += d;
        square += d * d;
    }

    __device__ Moments moments(A count) const {
        if (count == 0) return {0, 0, 0};
        A rest = square - sum * sum / count;
        return {count, first + sum / count, rest < 0 ? 0 : rest};
    }
};

__device__ void moved(void* running, long long narrow, long long channel, A value, A momentum) {
    if (running == nullptr) return;
    if (narrow) {
        T* at = (T*)running + channel;
        store(at, (1 - momentum) * load(at) + momentum * value);
    } else {
        A* at = (A*)running + channel;
        *at = (1 - momentum) * *at + momentum * value;
    }
}

struct Finish {
    A *mean, *rstd;
    void *running_mean, *running_var;
    long long narrow;
    A eps, momentum;

    __device__ void operator()(long long channel, Moments m) const {
        A variance = m.square / m.count;
        mean[channel] = m.mean;
        rstd[channel] = 1 / sqrt(variance + eps);
        moved(running_mean, narrow, channel, m.mean, momentum);
        moved(running_var, narrow, channel, m.square / (m.count - 1), momentum);
    }
};

// Mean and 1 / sqrt(variance + eps) per channel, and running statistics. With several parts they go to `partial`
// (parts, 3, C), which moments_finish joins.
extern "C" __global__ void moments(
    const T* x, A* partial, A* mean, A* rstd, void* running_mean, void* running_var, long long channels,
    long long width, long long length, long long chunk, long long across, long long narrow, double eps, double momentum
) {
    __shared__ Moments shared[BLOCK * K];
    Walk walk(channels, width, length, chunk, across);
    const Pack* packs = (const Pack*)x;
    Sums sums[K];
    long long count = 0;
    if (walk.here()) {
        Pack pack = packs[walk.offset()];
        for (int k = 0; k < K; ++k) sums[k].start(load(&pack.value[k]));
    }
    for (; walk.here(); walk.next()) {
        Pack pack = packs[walk.offset()];
        for (int v = 0; v < V; ++v) sums[SLOT(v)].add(load(&pack.value[v]));
        count += V / K;
    }
    for (int k = 0; k < K; ++k) shared[threadIdx.x * K + k] = sums[k].moments(count);
    __syncthreads();
    for (unsigned half = walk.step / 2; half > 0; half /= 2) {
        if (threadIdx.x < half * across) {
            for (int k = 0; k < K; ++k) {
                Moments* at = shared + threadIdx.x * K + k;
                *at = joined(*at, at[half * across * K]);
            }
        }
        __syncthreads();
    }
    if (!walk.first()) return;
    Finish finish = {mean, rstd, running_mean, running_var, narrow, (A)eps, (A)momentum};
    for (int k = 0; k < K; ++k) {
        Moments m = shared[threadIdx.x * K + k];
        long long channel = (long long)walk.column * K + k;
        if (partial == nullptr) {
            finish(channel, m);
        } else {
            A* at = partial + walk.part * 3 * channels + channel;
            at[0] = m.count;
            at[channels] = m.mean;
            at[2 * channels] = m.square;
        }
    }
}

// One warp per channel joins the parts.
extern "C" __global__ void moments_finish(
    const A* partial, A* mean, A* rstd, void* running_mean, void* running_var, long long channels, long long parts,
    long long narrow, double eps, double momentum
) {
    __shared__ Moments shared[BLOCK];
    long long channel = blockIdx.x * (long long)(BLOCK / 32) + threadIdx.x / 32;
    unsigned lane = threadIdx.x % 32;
    Moments m = {0, 0, 0};
    if (channel < channels) {
        for (long long part = lane; part < parts; part += 32) {
            const A* at = partial + part * 3 * channels + channel;
            m = joined(m, {at[0], at[channels], at[2 * channels]});
        }
    }
    shared[threadIdx.x] = m;
    __syncthreads();
    for (unsigned half = 16; half > 0; half /= 2) {
        if (lane < half) shared[threadIdx.x] = joined(shared[threadIdx.x], shared[threadIdx.x + half]);
        __syncthreads();
    }
    Finish finish = {mean, rstd, running_mean, running_var, narrow, (A)eps, (A)momentum};
    if (lane == 0 && channel < channels) finish(channel, shared[threadIdx.x]);
}

extern "C" __global__ void inverse_deviation(const A* variance, A* rstd, long long count, double eps) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < count) rstd[i] = 1 / sqrt(variance[i] + (A)eps);
}

// What one channel is multiplied with. Forward and backward pass compute the same bits, so that where ReLU cut off can
// be found again from x.
struct Line {
    A mean, scale, shift;

    __device__ Line() {}

    __device__ Line(const A* mean_, const A* rstd, const A* weight, const A* bias, long long channel)
        : mean(mean_ ? mean_[channel] : 0), scale(weight ? rstd[channel] * weight[channel] : rstd[channel]),
          shift(bias ? bias[channel] : 0) {}

    __device__ A operator()(A x) const { return fma(x - mean, scale, shift); }
};

// Whether what is stored of max(y, 0) is not zero (NaN is not).
__device__ bool passes(A y) {
    T stored;
    store(&stored, y);
    return !(y <= 0) && load(&stored) != 0;
}

// (x - mean) * rstd * weight + bias, then + residual and max(.., 0) where asked.
extern "C" __global__ void forward(
    const T* x, const A* mean, const A* rstd, const A* weight, const A* bias, const T* residual, T* out,
    long long channels, long long width, long long length, long long chunk, long long across, long long relu
) {
    Walk walk(channels, width, length, chunk, across);
    Line line[K];
    if (walk.here())
        for (int k = 0; k < K; ++k) line[k] = Line(mean, rstd, weight, bias, (long long)walk.column * K + k);
    for (; walk.here(); walk.next()) {
        long long at = walk.offset();
        Pack pack = ((const Pack*)x)[at], more;
        if (residual) more = ((const Pack*)residual)[at];
        for (int v = 0; v < V; ++v) {
            A y = line[SLOT(v)](load(&pack.value[v]));
            if (residual) y += load(&more.value[v]);
            store(&pack.value[v], relu && y < 0 ? (A)0 : y);
        }
        ((Pack*)out)[at] = pack;
    }
}

// Sums over a channel of g and of g * (x - mean) * rstd. g counts where ReLU let pass: where y is not zero or, with
// `relu` and no y, where the line through x is not; it goes to `masked` if given. With groups > 0, statistics belong to
// a sample's groups of channels instead of the channels. To `partial` (parts, 2, C) with several parts.
extern "C" __global__ void gradient_sums(
    const T* g, const T* x, const T* y, T* masked, const A* mean, const A* rstd, const A* weight, const A* bias,
    A* partial, A* total, A* dot, long long channels, long long width, long long length, long long chunk,
    long long across, long long relu, long long groups, long long plane
) {
    __shared__ A shared[2 * BLOCK * K];
    Walk walk(channels, width, length, chunk, across);
    Line line[K];
    A sum[K], product[K];
    for (int k = 0; k < K; ++k) {
        sum[k] = product[k] = 0;
        if (walk.here() && !groups) line[k] = Line(mean, rstd, weight, bias, (long long)walk.column * K + k);
    }
    long long members = groups ? channels / groups : 1;
    for (; walk.here(); walk.next()) {
        long long at = walk.offset();
        Pack pack = ((const Pack*)g)[at], input = ((const Pack*)x)[at], result;
        if (y) result = ((const Pack*)y)[at];
        for (int v = 0; v < V; ++v) {
            const int k = SLOT(v);
            A value = load(&input.value[v]), slope = load(&pack.value[v]);
            if (y ? load(&result.value[v]) == 0 : relu && !passes(line[k](value))) {
                slope = 0;
                store(&pack.value[v], (A)0);
            }
            sum[k] += slope;
            if (groups) {
                long long row = walk.index / (LAST ? plane : width) * groups + ((long long)walk.column * K + k) / members;
                product[k] += slope * (value - (mean ? mean[row] : 0)) * rstd[row];
            } else {
                product[k] += slope * (value - line[k].mean);
            }
        }
        if (masked) ((Pack*)masked)[at] = pack;
    }
    for (int k = 0; k < K; ++k) {
        shared[threadIdx.x * K + k] = sum[k];
        shared[(BLOCK + threadIdx.x) * K + k] = product[k];
    }
    __syncthreads();
    for (unsigned half = walk.step / 2; half > 0; half /= 2) {
        if (threadIdx.x < half * across) {
            for (int k = 0; k < K; ++k) {
                A* at = shared + threadIdx.x * K + k;
                at[0] += at[half * across * K];
                at[BLOCK * K] += at[(BLOCK + half * across) * K];
            }
        }
        __syncthreads();
    }
    if (!walk.first()) return;
    for (int k = 0; k < K; ++k) {
        long long channel = (long long)walk.column * K + k;
        A g_sum = shared[threadIdx.x * K + k], g_dot = shared[(BLOCK + threadIdx.x) * K + k];
        if (!groups) g_dot *= rstd[channel];
        if (partial) {
            partial[walk.part * 2 * channels + channel] = g_sum;
            partial[(walk.part * 2 + 1) * channels + channel] = g_dot;
        } else {
            total[channel] = g_sum;
            dot[channel] = g_dot;
        }
    }
}

// Sums over a channel of g alone, to (parts, C).
extern "C" __global__ void channel_sums(
    const T* g, A* total, long long channels, long long width, long long length, long long chunk, long long across
) {
    __shared__ A shared[BLOCK * K];
    Walk walk(channels, width, length, chunk, across);
    A sum[K];
    for (int k = 0; k < K; ++k) sum[k] = 0;
    for (; walk.here(); walk.next()) {
        Pack pack = ((const Pack*)g)[walk.offset()];
        for (int v = 0; v < V; ++v) sum[SLOT(v)] += load(&pack.value[v]);
    }
    for (int k = 0; k < K; ++k) shared[threadIdx.x * K + k] = sum[k];
    __syncthreads();
    for (unsigned half = walk.step / 2; half > 0; half /= 2) {
        if (threadIdx.x < half * across)
            for (int k = 0; k < K; ++k) shared[threadIdx.x * K + k] += shared[(threadIdx.x + half * across) * K + k];
        __syncthreads();
    }
    if (!walk.first()) return;
    for (int k = 0; k < K; ++k)
        total[walk.part * channels + (long long)walk.column * K + k] = shared[threadIdx.x * K + k];
}

// One warp per value adds up the parts (parts, count).
extern "C" __global__ void sums_finish(const A* partial, A* out, long long count, long long parts) {
    long long index = blockIdx.x * (long long)(BLOCK / WARP) + threadIdx.x / WARP;
    A sum = 0;
    if (index < count)
        for (long long part = threadIdx.x % WARP; part < parts; part += WARP) sum += partial[part * count + index];
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0 && index < count) out[index] = sum;
}

// weight * rstd * (g - total / n - normal * dot / n); without total the statistics are constants: weight * rstd * g.
extern "C" __global__ void gradient(
    const T* g, const T* x, T* out, const A* mean, const A* rstd, const A* weight, const A* bias, const A* total,
    const A* dot, long long channels, long long width, long long length, long long chunk, long long across,
    long long relu, double count
) {
    Walk walk(channels, width, length, chunk, across);
    Line line[K];
    A shift[K], slope[K];
    if (walk.here()) {
        for (int k = 0; k < K; ++k) {
            long long channel = (long long)walk.column * K + k;
            line[k] = Line(mean, rstd, weight, bias, channel);
            shift[k] = total ? total[channel] / (A)count : 0;
            slope[k] = total ? dot[channel] * rstd[channel] / (A)count : 0;
        }
    }
    for (; walk.here(); walk.next()) {
        long long at = walk.offset();
        Pack pack = ((const Pack*)g)[at], input;
        if (total || relu) input = ((const Pack*)x)[at];
        for (int v = 0; v < V; ++v) {
            const int k = SLOT(v);
            A value = total || relu ? load(&input.value[v]) : 0, change = load(&pack.value[v]);
            if (relu && !passes(line[k](value))) change = 0;
            if (total) change -= shift[k] + (value - line[k].mean) * slope[k];
            store(&pack.value[v], change * line[k].scale);
        }
        ((Pack*)out)[at] = pack;
    }
}

// ---------------------------------------------------------------------- statistics per sample and group of channels
// A block has one row: the members * plane values of a group of channels of a sample, in packs.
struct Row {
    unsigned count, channel, members, plane;
    long long start;

    __device__ Row(long long groups, long long members, long long plane) : members(members), plane(plane) {
        long long sample = blockIdx.x / groups, group = blockIdx.x % groups;
        count = members * plane / V;
        channel = group * members;
        start = LAST ? (sample * plane * groups + group) * members / V : (long long)blockIdx.x * count;
        pixel = groups * members / V;
    }

    __device__ long long offset(unsigned i) const {
        return LAST ? start + i / (members / V) * pixel + i % (members / V) : start + i;
    }

    __device__ unsigned member(unsigned i, unsigned v) const {
        if (LAST) return channel + i % (members / V) * V + v;
        return channel + i * V / plane + (plane == 1 ? v : 0);
    }

    long long pixel;
};

// Mean (if given: otherwise 0 is taken for it) and 1 / sqrt(variance + eps) per row.
extern "C" __global__ void row_moments(
    const T* x, A* mean, A* rstd, long long groups, long long members, long long plane, double eps
) {
    __shared__ Moments shared[BLOCK];
    Row row(groups, members, plane);
    const Pack* packs = (const Pack*)x;
    Sums sums;
    long long count = 0;
    for (unsigned i = threadIdx.x; i < row.count; i += blockDim.x) {
        Pack pack = packs[row.offset(i)];
        if (count == 0) sums.start(load(&pack.value[0]));
        for (int v = 0; v < V; ++v) sums.add(load(&pack.value[v]));
        count += V;
    }
    shared[threadIdx.x] = sums.moments(count);
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] = joined(shared[threadIdx.x], shared[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x) return;
    Moments m = shared[0];
    A square = m.square / m.count;
    if (mean) {
        mean[blockIdx.x] = m.mean;
    } else {
        square += m.mean * m.mean;
    }
    rstd[blockIdx.x] = 1 / sqrt(square + (A)eps);
}

extern "C" __global__ void row_forward(
    const T* x, const A* mean, const A* rstd, const A* weight, const A* bias, T* out, long long groups,
    long long members, long long plane
) {
    Row row(groups, members, plane);
    A centre = mean ? mean[blockIdx.x] : 0, scale = rstd[blockIdx.x];
    for (unsigned i = threadIdx.x; i < row.count; i += blockDim.x) {
        long long at = row.offset(i);
        Pack pack = ((const Pack*)x)[at];
        for (int v = 0; v < V; ++v) {
            A y = (load(&pack.value[v]) - centre) * scale;
            if (weight) y *= weight[row.member(i, v)];
            if (bias) y += bias[row.member(i, v)];
            store(&pack.value[v], y);
        }
        ((Pack*)out)[at] = pack;
    }
}

// With h = g * weight: rstd * (h - mean of h - normal * mean of h * normal), the second of them if there is a mean.
extern "C" __global__ void row_gradient(
    const T* g, const T* x, const A* mean, const A* rstd, const A* weight, T* out, long long groups, long long members,
    long long plane
) {
    Row row(groups, members, plane);
    A centre = mean ? mean[blockIdx.x] : 0, scale = rstd[blockIdx.x], sum = 0, product = 0;
    for (unsigned i = threadIdx.x; i < row.count; i += blockDim.x) {
        long long at = row.offset(i);
        Pack slope = ((const Pack*)g)[at], input = ((const Pack*)x)[at];
        for (int v = 0; v < V; ++v) {
            A h = load(&slope.value[v]);
            if (weight) h *= weight[row.member(i, v)];
            sum += h;
            product += h * (load(&input.value[v]) - centre) * scale;
        }
    }
    A count = (A)row.count * V;
    sum = mean ? block_sum(sum) / count : 0;
    product = block_sum(product) / count;
    for (unsigned i = threadIdx.x; i < row.count; i += blockDim.x) {
        long long at = row.offset(i);
        Pack slope = ((const Pack*)g)[at], input = ((const Pack*)x)[at];
        for (int v = 0; v < V; ++v) {
            A h = load(&slope.value[v]);
            if (weight) h *= weight[row.member(i, v)];
            store(&slope.value[v], (h - sum - (load(&input.value[v]) - centre) * scale * product) * scale);
        }
        ((Pack*)out)[at] = slope;
    }
}
