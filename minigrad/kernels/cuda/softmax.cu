// softmax and its logarithm along one dimension of arrays (outer, length, inner), whatever the order in memory: a row
// begins at o * outer_step + i * inner_step, its values are `step` apart. A block has one row or, with SINGLE, a thread.

#if SINGLE
#define ROW (blockIdx.x * (long long)blockDim.x + threadIdx.x)
#define FIRST 0
#define NEXT 1
#else
#define ROW ((long long)blockIdx.x)
#define FIRST threadIdx.x
#define NEXT blockDim.x
#endif

#if SINGLE
__device__ A largest(A value) { return value; }
__device__ A added(A value) { return value; }
#else
__device__ A largest(A value) { return block_max(value); }
__device__ A added(A value) { return block_sum(value); }
#endif

// The largest value of a row, and the sum of exp(x - largest).
__device__ void scale(const T* x, long long length, long long step, A& most, A& sum) {
    most = -INFINITY;
    for (long long i = FIRST; i < length; i += NEXT) most = Max()(most, load(&x[i * step]));
    most = largest(most);
    sum = 0;
    for (long long i = FIRST; i < length; i += NEXT) sum += exp(load(&x[i * step]) - most);
    sum = added(sum);
}

extern "C" __global__ void forward(
    const T* x, T* out, long long rows, long long length, long long inner, long long outer_step, long long step,
    long long inner_step, long long logarithm
) {
    long long row = ROW;
    if (row >= rows) return;
    long long start = row / inner * outer_step + row % inner * inner_step;
    x += start;
    out += start;
    A most, sum;
    scale(x, length, step, most, sum);
    A size = logarithm ? log(sum) : 1 / sum;
    for (long long i = FIRST; i < length; i += NEXT) {
        A d = load(&x[i * step]) - most;
        store(&out[i * step], logarithm ? d - size : exp(d) * size);
    }
}

// out * (g - sum of g * out), or g - exp(out) * sum of g; result, g and out lie alike in memory.
extern "C" __global__ void gradient(
    const T* g, const T* out, T* result, long long rows, long long length, long long inner, long long outer_step,
    long long step, long long inner_step, long long logarithm
) {
    long long row = ROW;
    if (row >= rows) return;
    long long start = row / inner * outer_step + row % inner * inner_step;
    g += start;
    out += start;
    result += start;
    A sum = 0;
    for (long long i = FIRST; i < length; i += NEXT)
        sum += logarithm ? load(&g[i * step]) : load(&g[i * step]) * load(&out[i * step]);
    sum = added(sum);
    for (long long i = FIRST; i < length; i += NEXT) {
        A y = load(&out[i * step]), slope = load(&g[i * step]);
        store(&result[i * step], logarithm ? slope - exp(y) * sum : y * (slope - sum));
    }
}

// ---------------------------------------------------------------------- losses of class indices
// The loss and its weight for every row: a sample's position, whose classes lie as above. With logits, the scores'
// largest and the logarithm of the sum go to `state` (2, rows); otherwise x are logarithms of probabilities. A row
// whose target is ignored has loss and weight 0; one whose target is no class has NaN for both.
extern "C" __global__ void losses(
    const T* x, const long long* target, const A* class_weight, A* state, A* loss, A* weight, long long rows,
    long long length, long long inner, long long outer_step, long long step, long long inner_step, long long ignore,
    long long logits, double smoothing
) {
    long long row = ROW;
    if (row >= rows) return;
    x += row / inner * outer_step + row % inner * inner_step;
    A most = 0, size = 0, classes = 0;
    if (logits) {
        scale(x, length, step, most, size);
        size = log(size);
        if (smoothing != 0) {
            for (long long i = FIRST; i < length; i += NEXT)
                classes += ((load(&x[i * step]) - most) - size) * (class_weight ? class_weight[i] : 1);
            classes = added(classes);
        }
    }
    if (FIRST) return;
    if (logits) {
        state[row] = most;
        state[rows + row] = size;
    }
    long long t = target[row];
    A its = 0, value = 0;
    if (t != ignore) {
        if (t < 0 || t >= length) {
            its = value = NAN;
        } else {
            its = class_weight ? class_weight[t] : 1;
            if (logits || its != 0) value = -((load(&x[t * step]) - most) - size) * its;
            if (smoothing != 0) value = value * (1 - (A)smoothing) - classes * ((A)smoothing / length);
        }
    }
    loss[row] = value;
    weight[row] = its;
}

// Sums of losses and weights over the blocks' parts of them: (2, blocks).
extern "C" __global__ void totals(const A* loss, const A* weight, A* sums, long long count) {
    A a = 0, b = 0;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count;
         i += (long long)gridDim.x * blockDim.x) {
        a += loss[i];
        b += weight[i];
    }
    a = added(a);
    b = added(b);
    if (threadIdx.x) return;
    sums[blockIdx.x] = a;
    sums[gridDim.x + blockIdx.x] = b;
}

// The sum of the losses, over that of their weights for a mean. One block.
extern "C" __global__ void reduced(
    const A* loss, const A* weight, T* out, A* divisor, long long count, long long mean
) {
    A a = 0, b = 0;
    for (long long i = threadIdx.x; i < count; i += blockDim.x) {
        a += loss[i];
        b += weight[i];
    }
    a = added(a);
    b = added(b);
    if (threadIdx.x) return;
    divisor[0] = b;
    store(&out[0], mean ? a / b : a);
}

// The gradient to x; g has one value, or one per row. Ignored rows have 0 whatever the divisor.
extern "C" __global__ void loss_gradient(
    const T* g, const T* x, const long long* target, const A* class_weight, const A* weight_sum, const A* state,
    const A* divisor, T* out, long long rows, long long length, long long inner, long long outer_step, long long step,
    long long inner_step, long long ignore, long long per_row, double smoothing
) {
    long long row = ROW;
    if (row >= rows) return;
    long long start = row / inner * outer_step + row % inner * inner_step, t = target[row];
    x += start;
    out += start;
    bool valid = t != ignore, wrong = valid && (t < 0 || t >= length);
    A scale = load(&g[per_row ? row : 0]), share = (A)smoothing / length;
    if (divisor) scale /= divisor[0];
    A its = !valid || wrong ? 0 : class_weight ? class_weight[t] : 1;
    A hit = scale * its * (1 - (A)smoothing);
    A total = hit + scale * share * (weight_sum ? weight_sum[0] : length);
    A most = state ? state[row] : 0, size = state ? state[rows + row] : 0;
    for (long long i = FIRST; i < length; i += NEXT) {
        A value = 0;
        if (state) value = exp((load(&x[i * step]) - most) - size) * total;
        if (smoothing != 0) value -= scale * share * (class_weight ? class_weight[i] : 1);
        if (i == t) value -= hit;
        store(&out[i * step], wrong ? (A)NAN : valid ? value : (A)0);
    }
}
