// Steps of optimizers over many arrays in one launch. `table` holds, for T arrays with K pointers each: T * K pointers,
// T numbers of elements, and for each block the array (high 32 bits) and the chunk of it (low 32 bits) that it takes.
// A thread takes packs of V elements: 16 bytes, or with PACKED 0 one element.

constexpr int V = PACKED ? 16 / sizeof(T) : 1;

struct alignas(sizeof(T) * V) Pack {
    T value[V];
};

struct Part {
    const long long* pointers;
    long long begin, end;

    __device__ Part(const long long* table, long long arrays, long long width, long long chunk) {
        long long block = table[arrays * (width + 1) + blockIdx.x], array = block >> 32;
        pointers = table + array * width;
        long long size = table[arrays * width + array];
        begin = (block & 0xffffffff) * chunk;
        end = begin + chunk < size ? begin + chunk : size;
    }

    __device__ T* at(int i) const { return (T*)pointers[i]; }
};

#define EACH_PACK(i) for (long long i = part.begin + threadIdx.x * V; i < part.end; i += blockDim.x * V)

__device__ void read(const T* from, long long i, long long end, A* values) {
    if (i + V <= end) {
        Pack pack = *(const Pack*)(from + i);
        for (int v = 0; v < V; ++v) values[v] = (A)pack.value[v];
    } else {
        for (int v = 0; v < V; ++v) values[v] = i + v < end ? (A)from[i + v] : (A)0;
    }
}

__device__ void write(T* to, long long i, long long end, const A* values) {
    if (i + V <= end) {
        Pack pack;
        for (int v = 0; v < V; ++v) pack.value[v] = (T)values[v];
        *(Pack*)(to + i) = pack;
    } else {
        for (int v = 0; v < V; ++v)
            if (i + v < end) to[i + v] = (T)values[v];
    }
}

// The gradients of a pack, divided by the scale of the loss, which is written back.
__device__ void read_gradient(const Part& part, long long i, const float* grad_scale, A* g) {
    read(part.at(1), i, part.end, g);
    if (grad_scale == nullptr) return;
    for (int v = 0; v < V; ++v) g[v] /= (A)*grad_scale;
    write(part.at(1), i, part.end, g);
}

// Pointers: parameter, gradient, momentum buffer (momentum 0: none).
extern "C" __global__ void sgd(const long long* table, long long arrays, long long width, long long chunk,
                               const double* lr_at, const float* grad_scale, const float* found_inf, double lr_given,
                               double momentum_, double dampening, double weight_decay_, long long nesterov,
                               long long maximize) {
    if (found_inf != nullptr && *found_inf != 0) return;
    Part part(table, arrays, width, chunk);
    A lr = lr_at == nullptr ? (A)lr_given : (A)*lr_at;
    A momentum = momentum_, share = 1 - dampening, weight_decay = weight_decay_;
    EACH_PACK(i) {
        A p[V], g[V], b[V];
        read(part.at(0), i, part.end, p);
        read_gradient(part, i, grad_scale, g);
        if (momentum != 0) read(part.at(2), i, part.end, b);
        for (int v = 0; v < V; ++v) {
            if (maximize) g[v] = -g[v];
            if (weight_decay != 0) g[v] += weight_decay * p[v];
            if (momentum != 0) {
                b[v] = b[v] * momentum + share * g[v];
                g[v] = nesterov ? g[v] + momentum * b[v] : b[v];
            }
            p[v] -= lr * g[v];
        }
        write(part.at(0), i, part.end, p);
        if (momentum != 0) write(part.at(2), i, part.end, b);
    }
}

// Pointers: parameter, gradient, averages of the gradient, of its square, the square's largest (amsgrad), and the
// number of this step (float), which the table has only if step_given is 0.
extern "C" __global__ void adam(const long long* table, long long arrays, long long width, long long chunk,
                                const double* lr_at, const float* grad_scale, const float* found_inf, double lr_given,
                                double beta1_, double beta2_, double eps_, double weight_decay_, double step_given,
                                long long amsgrad, long long maximize, long long decoupled) {
    if (found_inf != nullptr && *found_inf != 0) return;
    __shared__ A of_all[3];  // step size, eps, factor of the parameter
    Part part(table, arrays, width, chunk);
    if (threadIdx.x == 0) {
        double lr = lr_at == nullptr ? lr_given : *lr_at;
        double step = step_given != 0 ? step_given : (double)*(const float*)part.pointers[width - 1];
        double correction = sqrt(1 - pow(beta2_, step));
        of_all[0] = (A)(lr * correction / (1 - pow(beta1_, step)));
        of_all[1] = (A)(eps_ * correction);
        of_all[2] = (A)(decoupled ? 1 - lr * weight_decay_ : 1.0);
    }
    __syncthreads();
    A step_size = of_all[0], eps = of_all[1], factor = of_all[2];
    A other1 = 1 - beta1_, beta2 = beta2_, other2 = 1 - beta2_, weight_decay = decoupled ? 0.0 : weight_decay_;
    EACH_PACK(i) {
        A p[V], g[V], mean[V], square[V], largest[V];
        read(part.at(0), i, part.end, p);
        read_gradient(part, i, grad_scale, g);
        read(part.at(2), i, part.end, mean);
        read(part.at(3), i, part.end, square);
        if (amsgrad) read(part.at(4), i, part.end, largest);
        for (int v = 0; v < V; ++v) {
            p[v] *= factor;
            if (maximize) g[v] = -g[v];
            if (weight_decay != 0) g[v] += weight_decay * p[v];
            mean[v] += other1 * (g[v] - mean[v]);
            square[v] = square[v] * beta2 + other2 * g[v] * g[v];
            A used = square[v];
            if (amsgrad) used = largest[v] = largest[v] >= used || largest[v] != largest[v] ? largest[v] : used;
            p[v] -= step_size * mean[v] / (sqrt(used) + eps);
        }
        write(part.at(0), i, part.end, p);
        write(part.at(2), i, part.end, mean);
        write(part.at(3), i, part.end, square);
        if (amsgrad) write(part.at(4), i, part.end, largest);
    }
}

// Count the steps on, unless they are left out. Pointers of the table: the last of each array is its step's.
extern "C" __global__ void count_steps(const long long* table, long long arrays, long long width,
                                       const float* found_inf) {
    if (found_inf != nullptr && *found_inf != 0) return;
    FOR_EACH(i, arrays) *(float*)table[i * width + width - 1] += 1;
}

// found_inf becomes 1 where a gradient is not finite; the gradients are divided by the scale.
extern "C" __global__ void unscale(const long long* table, long long arrays, long long width, long long chunk,
                                   const float* scale, float* found_inf) {
    Part part(table, arrays, width, chunk);
    A factor = scale == nullptr ? (A)1 : (A)(1.0 / (double)*scale);
    EACH_PACK(i) {
        A g[V];
        read(part.at(0), i, part.end, g);
        for (int v = 0; v < V; ++v) {
            if (g[v] - g[v] != 0) *found_inf = 1;
            g[v] *= factor;
        }
        if (scale != nullptr) write(part.at(0), i, part.end, g);
    }
}

// What the loss is scaled by, after a step that was left out or not.
extern "C" __global__ void update_scale(float* scale, int* growth_tracker, const float* found_inf, double growth,
                                        double backoff, long long interval) {
    if (*found_inf != 0) {
        *scale = *scale * (float)backoff;
        *growth_tracker = 0;
        return;
    }
    if (++*growth_tracker != interval) return;
    float grown = *scale * (float)growth;
    if (grown - grown == 0) *scale = grown;  // infinity could never back off
    *growth_tracker = 0;
}

// For each block the sum of |x|^kind, or the largest |x| for an infinite kind, to be finished by norm_total.
extern "C" __global__ void norm_parts(const long long* table, long long arrays, long long width, long long chunk,
                                      A* parts, double kind) {
    Part part(table, arrays, width, chunk);
    A sum = 0;
    EACH_PACK(i) {
        A x[V];
        read(part.at(0), i, part.end, x);
        for (int v = 0; v < V; ++v) {
            A size = x[v] < 0 ? -x[v] : x[v];
            if (kind == 2) sum += size * size;
            else if (kind == 1) sum += size;
            else if (kind > 1e300) sum = size > sum || size != size ? size : sum;
            else sum += pow(size, (A)kind);
        }
    }
    sum = kind > 1e300 ? block_max(sum) : block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

extern "C" __global__ void norm_total(const A* parts, T* total, long long count, double kind) {
    A sum = 0;
    for (long long i = threadIdx.x; i < count; i += blockDim.x) {
        A x = parts[i];
        if (kind > 1e300) sum = x > sum || x != x ? x : sum;
        else sum += x;
    }
    sum = kind > 1e300 ? block_max(sum) : block_sum(sum);
    if (threadIdx.x != 0) return;
    if (kind == 2) sum = sqrt(sum);
    else if (kind != 1 && kind < 1e300) sum = pow(sum, (A)(1 / kind));
    store(total, sum);
}

// Gradients times min(1, most / (norm + 1e-6)).
extern "C" __global__ void clip(const long long* table, long long arrays, long long width, long long chunk,
                                const T* norm, double most) {
    Part part(table, arrays, width, chunk);
    A factor = (A)most / (load(norm) + (A)1e-6);
    if (factor >= 1) return;
    EACH_PACK(i) {
        A g[V];
        read(part.at(0), i, part.end, g);
        for (int v = 0; v < V; ++v) g[v] *= factor;
        write(part.at(0), i, part.end, g);
    }
}
