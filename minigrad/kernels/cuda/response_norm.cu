// Local response normalisation of x (N, C, S), in memory in that order or, with `last`, as (N, S, C). A thread walks over
// `chunk` channels at one place; the values of the window around the channel are in registers (SIZE 0: in local memory,
// MOST of them at most). Scales are taken anew in the gradient: that reads no more of memory than x, needed anyhow.

#if SIZE
#define MOST SIZE
#define WINDOW const int size = SIZE, before = size / 2
#else
#define MOST 64
#define WINDOW const int size = size_, before = size / 2
#endif

struct Walk {
    long long origin, step;  // of channel 0, from one channel to the next
    int begin, end;
    bool here;

    __device__ Walk(long long batch, long long channels, long long area, long long chunk,
                    bool last) {
        long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
        long long chunks = (channels + chunk - 1) / chunk;
        here = index < batch * chunks * area;
        if (last) {
            begin = index % chunks * chunk;
            origin = index / chunks * channels;
            step = 1;
        } else {
            long long place = index % area, rest = index / area;
            begin = rest % chunks * chunk;
            origin = rest / chunks * channels * area + place;
            step = area;
        }
        end = begin + chunk < channels ? begin + chunk : channels;
    }
};

__device__ A scaled(const A* window, int size, A share, A k) {
    A sum = 0;
    for (int i = 0; i < size; ++i) sum += window[i] * window[i];
    return k + share * sum;
}

__device__ A shrunk(A scale, A beta) {  // scale^-beta
    if (beta != (A)0.75) return pow(scale, -beta);
    A root = sqrt(scale);
    return 1 / (root * sqrt(root));
}

// The channels around `channel` are moved up by one: the window ends (size - 1) / 2 channels later.
__device__ void advance(A* window, const T* x, const Walk& walk, int channel, int channels,
                        int size) {
    for (int i = 0; i + 1 < size; ++i) window[i] = window[i + 1];
    int next = channel + (size - 1) / 2;
    window[size - 1] = next >= 0 && next < channels ? load(x + walk.origin + next * walk.step) : (A)0;
}

extern "C" __global__ void response_norm(const T* x, T* out, long long batch, long long channels, long long area,
                                         long long chunk, long long last, long long size_, double share, double beta,
                                         double k) {
    WINDOW;
    Walk walk(batch, channels, area, chunk, last);
    if (!walk.here) return;
    A window[MOST];
    for (int i = 0; i < size; ++i) window[i] = 0;
    for (int c = walk.begin - size + 1; c < walk.begin; ++c) advance(window, x, walk, c, channels, size);
    for (int c = walk.begin; c < walk.end; ++c) {
        advance(window, x, walk, c, channels, size);
        store(out + walk.origin + c * walk.step, window[before] * shrunk(scaled(window, size, share, k), beta));
    }
}

extern "C" __global__ void response_norm_gradient(const T* g, const T* x, T* out, long long batch, long long channels,
                                                  long long area, long long chunk, long long last, long long size_,
                                                  double share, double beta, double k) {
    WINDOW;
    Walk walk(batch, channels, area, chunk, last);
    if (!walk.here) return;
    A window[MOST], inner[MOST], direct[MOST / 2 + 1];  // inner: g x s^(-beta - 1); direct: g s^-beta
    for (int i = 0; i < size; ++i) window[i] = inner[i] = 0;
    for (int i = 0; i <= before; ++i) direct[i] = 0;
    A factor = (A)2 * (A)share * (A)beta;
    int first = walk.begin - (size - 1) / 2;
    for (int c = first - size + 1; c < first; ++c) advance(window, x, walk, c, channels, size);
    for (int c = first; c < walk.end + before; ++c) {  // at c, the gradient of channel c - before is complete
        advance(window, x, walk, c, channels, size);
        for (int i = 0; i + 1 < size; ++i) inner[i] = inner[i + 1];
        for (int i = 0; i < before; ++i) direct[i] = direct[i + 1];
        inner[size - 1] = direct[before] = 0;
        if (c >= 0 && c < channels) {
            A scale = scaled(window, size, share, k);
            direct[before] = load(g + walk.origin + c * walk.step) * shrunk(scale, beta);
            inner[size - 1] = direct[before] * window[before] / scale;
        }
        int done = c - before;
        if (done < walk.begin) continue;
        A sum = 0;
        for (int i = 0; i < size; ++i) sum += inner[i];
        store(out + walk.origin + done * walk.step, direct[0] - factor * window[0] * sum);
    }
}
