// Random numbers by Philox 4x32-10 (Salmon et al. 2011). The key is the seed; the counter is a position (two words), from
// 2^62 on in captured graphs, and there how often graphs drew (two words). Seed and draws of graphs lie on the GPU, in
// `state`: thus each replay of a graph, whose positions are fixed, has numbers of its own.

struct Words {
    unsigned value[4];
};

__device__ void multiply(unsigned a, unsigned b, unsigned& high, unsigned& low) {
    unsigned long long product = (unsigned long long)a * b;
    high = (unsigned)(product >> 32);
    low = (unsigned)product;
}

__device__ Words philox(Words counter, unsigned long long key) {
    unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
    for (int round = 0; round < 10; ++round) {
        unsigned high0, low0, high1, low1;
        multiply(0xD2511F53u, counter.value[0], high0, low0);
        multiply(0xCD9E8D57u, counter.value[2], high1, low1);
        counter = {{high1 ^ counter.value[1] ^ k0, low1, high0 ^ counter.value[3] ^ k1, low0}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return counter;
}

__device__ Words drawn(const unsigned long long* state, long long position) {
    unsigned long long draws = position >> 62 ? state[1] : 0;
    Words counter = {{(unsigned)position, (unsigned)(position >> 32), (unsigned)draws, (unsigned)(draws >> 32)}};
    return philox(counter, state[0]);
}

#define INDEX ((long long)blockIdx.x * blockDim.x + threadIdx.x)

// Numbers of type A (float: four of a draw; double and integers of 64 bits: two). Those of a draw lie far apart, so that
// threads side by side write side by side.
#define EACH (sizeof(A) == 8 ? 2 : 4)
#define FOR_DRAWN(at, i, each) \
    for (long long i = 0, apart = (n + each - 1) / each, at = INDEX; INDEX < apart && at < n; at += apart, ++i)

__device__ unsigned long long wide(const Words& words, int i) {
    return (unsigned long long)words.value[2 * i + 1] << 32 | words.value[2 * i];
}

__device__ A uniform(const Words& words, int i) {  // on [0, 1)
    if (sizeof(A) == 8) return (A)((wide(words, i & 1) >> 11) * (1.0 / 9007199254740992.0));
    return (A)((words.value[i & 3] >> 8) * (1.0f / 16777216.0f));
}

extern "C" __global__ void set_state(unsigned long long* state, long long seed, long long draws) {
    state[0] = seed;
    state[1] = draws;
}

extern "C" __global__ void next_draws(unsigned long long* state) { state[1] += 1; }

extern "C" __global__ void philox_words(const unsigned* counters, unsigned* out, long long key, long long n) {
    if (INDEX >= n) return;
    Words words;
    for (int i = 0; i < 4; ++i) words.value[i] = counters[INDEX * 4 + i];
    words = philox(words, key);
    for (int i = 0; i < 4; ++i) out[INDEX * 4 + i] = words.value[i];
}

extern "C" __global__ void draw_uniform(const unsigned long long* state, long long offset, A* out, long long n) {
    Words words = drawn(state, offset + INDEX);
    FOR_DRAWN(at, i, EACH) out[at] = uniform(words, i);
}

extern "C" __global__ void draw_exponential(const unsigned long long* state, long long offset, A* out, long long n) {
    Words words = drawn(state, offset + INDEX);
    FOR_DRAWN(at, i, EACH) out[at] = -log(1 - uniform(words, i));
}

// Pairs by Box and Muller.
extern "C" __global__ void draw_normal(const unsigned long long* state, long long offset, A* out, long long n) {
    Words words = drawn(state, offset + INDEX);
    FOR_DRAWN(at, i, EACH) {
        A radius = sqrt(-2 * log(1 - uniform(words, i & ~1))), angle = (A)6.283185307179586 * uniform(words, i | 1);
        out[at] = radius * (i & 1 ? sin(angle) : cos(angle));
    }
}

// Integers of 64 bits in [low, low + range); range 0 stands for 2^64.
extern "C" __global__ void draw_integers(const unsigned long long* state, long long offset, long long* out,
                                         long long n, long long low, long long range) {
    Words words = drawn(state, offset + INDEX);
    FOR_DRAWN(at, i, 2) {
        unsigned long long bits = wide(words, i);
        if (range != 0) bits %= (unsigned long long)range;
        out[at] = (long long)((unsigned long long)low + bits);
    }
}

// out = x * scale where a draw reaches p, else zero; mask: where.
extern "C" __global__ void dropout(const unsigned long long* state, long long offset, const T* x, T* out, bool* mask,
                                   long long n, double p, double scale) {
    Words words = drawn(state, offset + INDEX);
    FOR_DRAWN(at, i, 4) {
        bool kept = (words.value[i] >> 8) * (1.0f / 16777216.0f) >= (float)p;
        mask[at] = kept;
        store(out + at, kept ? load(x + at) * (A)scale : (A)0);
    }
}

extern "C" __global__ void keep_scaled(const T* x, const bool* mask, T* out, long long n, double scale) {
    FOR_EACH(i, n) store(out + i, mask[i] ? load(x + i) * (A)scale : (A)0);
}
