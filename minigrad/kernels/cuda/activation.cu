// Activations, with what is added before them, and their gradients, on packs of V elements.

enum { V = PACKED ? 16 / sizeof(T) : 1 };
enum { NONE, RELU, LEAKY_RELU, SIGMOID, TANH, GELU, GELU_TANH, SILU };  // as in activation.py

struct alignas(sizeof(T) * V) Pack {
    T value[V];
};

#define AT (blockIdx.x * (long long)blockDim.x + threadIdx.x)

__device__ A sigmoid(A x) { return 1 / (1 + exp(-x)); }

// x + 0.044715 x^3, times sqrt(2 / pi)
__device__ A bent(A x) { return (A)0.7978845608028654 * (x + (A)0.044715 * x * x * x); }

__device__ A normal(A x) { return (A)0.5 * erfc(x * (A)-0.7071067811865476); }

__device__ A activated(A x, long long kind, A option) {
    switch (kind) {
        case RELU: return x < 0 ? 0 : x;
        case LEAKY_RELU: return x > 0 ? x : x * option;
        case SIGMOID: return sigmoid(x);
        case TANH: return tanh(x);
        case GELU: return x * normal(x);
        case GELU_TANH: return (A)0.5 * x * (1 + tanh(bent(x)));
        case SILU: return x / (1 + exp(-x));
        default: return x;
    }
}

// The gradient g times the derivative, of which y is the result for ReLU, sigmoid and tanh, and the input for others.
__device__ A changed(A g, A y, long long kind, A option) {
    switch (kind) {
        case RELU: return y == 0 ? 0 : g;
        case LEAKY_RELU: return y > 0 ? g : g * option;
        case SIGMOID: return g * ((1 - y) * y);
        case TANH: return g * (1 - y * y);
        case GELU: return g * (normal(y) + y * exp((A)-0.5 * y * y) * (A)0.3989422804014327);
        case GELU_TANH: {
            A t = tanh(bent(y)), curve = 1 - t * t;
            if (curve != 0) curve *= (A)0.5 * y * (A)0.7978845608028654 * (1 + (A)0.134145 * y * y);
            return g * ((A)0.5 * (1 + t) + curve);
        }
        case SILU: {
            A s = sigmoid(y);
            return g * (s * (1 + y * (1 - s)));
        }
        default: return g;
    }
}

// activation(x + bias + residual), either of which may be missing; out may be x or the residual. Element e of memory is
// of channel e / plane % channels; packs do not go beyond a plane or, with plane 1, beyond the channels.
extern "C" __global__ void forward(
    const T* x, const A* bias, const T* residual, T* out, long long packs, long long channels, long long plane,
    long long kind, double option
) {
    long long at = AT;
    if (at >= packs) return;
    Pack pack = ((const Pack*)x)[at], more;
    if (residual) more = ((const Pack*)residual)[at];
    unsigned channel = bias ? (unsigned)(at * V) / (unsigned)plane % (unsigned)channels : 0;
    for (int v = 0; v < V; ++v) {
        A value = load(&pack.value[v]);
        if (bias) value += bias[plane == 1 ? channel + v : channel];
        if (residual) value += load(&more.value[v]);
        store(&pack.value[v], activated(value, kind, (A)option));
    }
    ((Pack*)out)[at] = pack;
}

extern "C" __global__ void backward(
    const T* g, const T* y, T* out, long long packs, long long kind, double option
) {
    long long at = AT;
    if (at >= packs) return;
    Pack pack = ((const Pack*)g)[at], other = ((const Pack*)y)[at];
    for (int v = 0; v < V; ++v) {
        store(&pack.value[v], changed(load(&pack.value[v]), load(&other.value[v]), kind, (A)option));
    }
    ((Pack*)out)[at] = pack;
}
