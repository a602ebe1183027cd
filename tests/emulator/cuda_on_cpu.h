// CUDA C++ as plain C++: one thread of the CPU runs all threads of a block, block after block.
//
// Threads that wait for one another (barriers, shuffles) are fibers; others run to their end one by one.
#pragma once
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <type_traits>
#include <utility>
#include <sys/mman.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
#define VECTOR(type, name)                                                                           \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                           \
  struct name##3 { type x, y, z; };                                                                  \
  struct alignas(sizeof(type) * 4 > 16 ? 16 : sizeof(type) * 4) name##4 { type x, y, z, w; };        \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                   \
  inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                        \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
VECTOR(float, float)
VECTOR(double, double)
VECTOR(int, int)
VECTOR(short, short)
VECTOR(signed char, char)
VECTOR(unsigned char, uchar)
VECTOR(unsigned short, ushort)
VECTOR(long long, longlong)
VECTOR(unsigned long long, ulonglong)
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace emulator {
enum State { READY, AT_BLOCK, AT_WARP, DONE };
struct Fiber {
  jmp_buf place;
  ucontext_t start;
  bool started;
  State state;
  unsigned long long waits_with;  // the lanes of the warp that a shuffle waits for
  uint3 index;
};
static const int MOST = 1024;
static const size_t STACK = 128 << 10;
static Fiber fibers[MOST];
static char* stacks;
static jmp_buf scheduler;
static int current = -1;  // the running fiber; -1: threads run one by one
static std::function<void()> body;
static const char* failure;
static char* dynamic_shared;
alignas(16) static char lanes[MOST][16];  // what each thread gives to a shuffle
static int votes[MOST];

static void give_way(State state) {
  fibers[current].state = state;
  if (!_setjmp(fibers[current].place)) _longjmp(scheduler, 1);
}

static void live() {
  for (;;) {
    body();
    give_way(DONE);
  }
}

static void resume(int i) {
  Fiber& fiber = fibers[i];
  current = i;
  threadIdx = fiber.index;
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = stacks + i * STACK;
  fiber.start.uc_stack.ss_size = STACK;
  fiber.start.uc_link = nullptr;
  makecontext(&fiber.start, live, 0);
  setcontext(&fiber.start);
}

// Let go those that wait for what has come; false when nothing has.
static bool release(int count) {
  bool alive = false, all = true, any = false;
  for (int i = 0; i < count; i++) {
    if (fibers[i].state == DONE) continue;
    alive = true;
    all = all && fibers[i].state == AT_BLOCK;
  }
  if (alive && all) {
    for (int i = 0; i < count; i++)
      if (fibers[i].state == AT_BLOCK) fibers[i].state = READY;
    return true;
  }
  for (int first = 0; first < count; first += 32) {
    int end = first + 32 < count ? first + 32 : count;
    bool together = true, waiting = false;
    for (int i = first; i < end; i++) {
      if (fibers[i].state != AT_WARP) continue;
      waiting = true;
      for (int j = first; j < end; j++)
        if (fibers[i].waits_with >> (j - first) & 1 && fibers[j].state != AT_WARP && fibers[j].state != DONE) together = false;
    }
    if (!waiting || !together) continue;
    any = true;
    for (int i = first; i < end; i++)
      if (fibers[i].state == AT_WARP) fibers[i].state = READY;
  }
  return any;
}

static void run_fibers(int count, bool backwards) {
  for (int i = 0; i < count; i++) fibers[i].state = READY;
  for (;;) {
    bool alive = false;
    for (int turn = 0; turn < count; turn++) {
      int i = backwards ? count - 1 - turn : turn;
      while (fibers[i].state == READY) resume(i);
      alive = alive || fibers[i].state != DONE;
    }
    if (!alive) break;
    if (!release(count)) {
      failure = "threads wait for others that never come: a barrier or a shuffle that not all threads reach";
      for (int i = 0; i < count; i++) fibers[i].started = false;
      break;
    }
  }
  current = -1;
}

static void run(const unsigned* size, size_t shared, bool waits) {
  gridDim = {size[0], size[1], size[2]};
  blockDim = {size[3], size[4], size[5]};
  int count = blockDim.x * blockDim.y * blockDim.z;
  failure = nullptr;
  dynamic_shared = shared ? (char*)aligned_alloc(16, (shared + 15) / 16 * 16) : nullptr;
  if (waits && !stacks)
    stacks = (char*)mmap(nullptr, STACK * MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int i = 0;
  for (unsigned z = 0; z < blockDim.z; z++)
    for (unsigned y = 0; y < blockDim.y; y++)
      for (unsigned x = 0; x < blockDim.x; x++) fibers[i++].index = {x, y, z};
  for (unsigned z = 0; z < gridDim.z && !failure; z++)
    for (unsigned y = 0; y < gridDim.y && !failure; y++)
      for (unsigned x = 0; x < gridDim.x && !failure; x++) {
        blockIdx = {x, y, z};
        if (shared) memset(dynamic_shared, 0xff, shared);  // NaN: nothing may be read before it is written
        bool backwards = (x + y + z) % 2;  // so that a missing barrier is noticed whichever thread should have waited
        if (waits) {
          run_fibers(count, backwards);
        } else {
          for (int turn = 0; turn < count; turn++) {
            threadIdx = fibers[backwards ? count - 1 - turn : turn].index;
            body();
          }
        }
      }
  free(dynamic_shared);
}

static int thread() { return current; }

static void block_barrier() {
  if (current < 0) {
    failure = "a barrier in a kernel that the emulator took for one without";
    return;
  }
  give_way(AT_BLOCK);
  threadIdx = fibers[current].index;
}

static void warp_barrier(unsigned mask) {
  if (current < 0) {
    failure = "a shuffle in a kernel that the emulator took for one without";
    return;
  }
  fibers[current].waits_with = mask;
  give_way(AT_WARP);
}

template <typename V> V exchange(unsigned mask, V value, int from) {
  static_assert(sizeof(V) <= 16, "a shuffle of at most 16 bytes");
  if (current < 0) return value;
  memcpy(lanes[current], &value, sizeof(V));
  warp_barrier(mask);
  V got;
  memcpy(&got, lanes[current / 32 * 32 + from], sizeof(V));
  warp_barrier(mask);
  return got;
}

inline unsigned ballot(unsigned mask, bool vote) {
  votes[current] = vote;
  warp_barrier(mask);
  unsigned bits = 0;
  for (int lane = 0; lane < 32; lane++)
    if (mask >> lane & 1) bits |= (unsigned)(votes[current / 32 * 32 + lane] != 0) << lane;
  warp_barrier(mask);
  return bits;
}

inline int count_block(bool vote) {
  votes[current] = vote;
  block_barrier();
  int count = 0;
  for (unsigned i = 0; i < blockDim.x * blockDim.y * blockDim.z; i++) count += votes[i];
  block_barrier();
  return count;
}

template <typename... P, size_t... I> void call(void (*kernel)(P...), void** args, std::index_sequence<I...>) {
  kernel(*(std::remove_cv_t<P>*)args[I]...);
}

template <typename... P> const char* launch(void (*kernel)(P...), const unsigned* size, size_t shared, bool waits, void** args) {
  body = [=] { call(kernel, args, std::index_sequence_for<P...>()); };
  run(size, shared, waits);
  return failure;
}
}  // namespace emulator

inline void __syncthreads() { emulator::block_barrier(); }
inline int __syncthreads_count(int vote) { return emulator::count_block(vote); }
inline int __syncthreads_or(int vote) { return emulator::count_block(vote) != 0; }
inline int __syncthreads_and(int vote) { return emulator::count_block(!vote) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::warp_barrier(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline unsigned __activemask() { return 0xffffffffu; }
inline unsigned __ballot_sync(unsigned mask, int vote) { return emulator::ballot(mask, vote); }
inline int __any_sync(unsigned mask, int vote) { return emulator::ballot(mask, vote) != 0; }
inline int __all_sync(unsigned mask, int vote) { return emulator::ballot(mask, !vote) == 0; }
template <typename V> V __shfl_sync(unsigned mask, V value, int from, int width = 32) {
  int lane = emulator::thread() % 32;
  return emulator::exchange(mask, value, lane / width * width + (from & (width - 1)));
}
template <typename V> V __shfl_xor_sync(unsigned mask, V value, int bits, int width = 32) {
  int lane = emulator::thread() % 32, from = lane ^ bits;
  return emulator::exchange(mask, value, from / width > lane / width ? lane : from);
}
template <typename V> V __shfl_down_sync(unsigned mask, V value, unsigned step, int width = 32) {
  int lane = emulator::thread() % 32;
  return emulator::exchange(mask, value, lane % width + (int)step < width ? lane + (int)step : lane);
}
template <typename V> V __shfl_up_sync(unsigned mask, V value, unsigned step, int width = 32) {
  int lane = emulator::thread() % 32;
  return emulator::exchange(mask, value, lane % width >= (int)step ? lane - (int)step : lane);
}

template <typename V> using Same = std::common_type_t<V>;  // the second argument follows the first
template <typename V> V atomicAdd(V* p, Same<V> value) { V old = *p; *p = old + value; return old; }
template <typename V> V atomicSub(V* p, Same<V> value) { V old = *p; *p = old - value; return old; }
template <typename V> V atomicMax(V* p, Same<V> value) { V old = *p; *p = old > value ? old : value; return old; }
template <typename V> V atomicMin(V* p, Same<V> value) { V old = *p; *p = old < value ? old : value; return old; }
template <typename V> V atomicOr(V* p, Same<V> value) { V old = *p; *p = old | value; return old; }
template <typename V> V atomicAnd(V* p, Same<V> value) { V old = *p; *p = old & value; return old; }
template <typename V> V atomicExch(V* p, Same<V> value) { V old = *p; *p = value; return old; }
template <typename V> V atomicCAS(V* p, Same<V> compare, Same<V> value) { V old = *p; if (old == compare) *p = value; return old; }
template <typename V> V __ldg(const V* p) { return *p; }
template <typename V> V __ldcs(const V* p) { return *p; }
template <typename V> void __stcs(V* p, V value) { *p = value; }

// CUDA's are of one type or of the wider one, and outside of any namespace
template <typename P, typename Q> inline std::common_type_t<P, Q> min(P a, Q b) {
  if constexpr (std::is_floating_point_v<std::common_type_t<P, Q>>) return std::fmin(a, b);
  else return (std::common_type_t<P, Q>)a < (std::common_type_t<P, Q>)b ? a : b;
}
template <typename P, typename Q> inline std::common_type_t<P, Q> max(P a, Q b) {
  if constexpr (std::is_floating_point_v<std::common_type_t<P, Q>>) return std::fmax(a, b);
  else return (std::common_type_t<P, Q>)a > (std::common_type_t<P, Q>)b ? a : b;
}
using std::abs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;
using std::exp; using std::log; using std::log2; using std::log1p; using std::expm1; using std::sqrt; using std::pow;
using std::sin; using std::cos; using std::tan; using std::sinh; using std::cosh; using std::tanh; using std::erf;
using std::erfc; using std::floor; using std::ceil; using std::round; using std::trunc; using std::fabs; using std::fmod;
using std::fma; using std::cbrt; using std::exp2; using std::hypot; using std::atan; using std::atan2; using std::copysign;
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __frsqrt_rn(float x) { return 1 / sqrtf(x); }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline float sinpif(float x) { return (float)std::sin(M_PI * x); }
inline float cospif(float x) { return (float)std::cos(M_PI * x); }
inline void sincospif(float x, float* s, float* c) { *s = sinpif(x); *c = cospif(x); }
template <typename To, typename From> To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "");
  To result;
  memcpy(&result, &value, sizeof(To));
  return result;
}
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }

#undef INFINITY
#undef NAN
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")

// 16 bits of floating point. Sums and products are made in float, as the compiler does for CUDA's own operators.
struct __half {
  unsigned short bits;
  __half() = default;
  __half(float x) : bits(same_bits<unsigned short>((_Float16)x)) {}
  __half(double x) : bits(same_bits<unsigned short>((_Float16)x)) {}
  __half(int x) : __half((float)x) {}
  operator float() const { return (float)same_bits<_Float16>(bits); }
};
struct __nv_bfloat16 {
  unsigned short bits;
  __nv_bfloat16() = default;
  __nv_bfloat16(float x) {
    unsigned wide = same_bits<unsigned>(x);
    bits = x != x ? 0x7fff : (unsigned short)((wide + 0x7fff + (wide >> 16 & 1)) >> 16);  // to nearest, ties to even
  }
  __nv_bfloat16(double x) : __nv_bfloat16((float)x) {}
  __nv_bfloat16(int x) : __nv_bfloat16((float)x) {}
  operator float() const { return same_bits<float>((unsigned)bits << 16); }
};
#define SHORT_FLOAT(type)                                                       \
  inline type& operator+=(type& a, type b) { return a = (float)a + (float)b; }  \
  inline type& operator*=(type& a, type b) { return a = (float)a * (float)b; }
SHORT_FLOAT(__half)
SHORT_FLOAT(__nv_bfloat16)
typedef __half half;
typedef __nv_bfloat16 nv_bfloat16;
struct alignas(4) __half2 { __half x, y; };
struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
inline float __half2float(__half x) { return x; }
inline __half __float2half(float x) { return x; }
inline __half __float2half_rn(float x) { return x; }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline float2 __half22float2(__half2 v) { return {v.x, v.y}; }
inline __half2 __float22half2_rn(float2 v) { return {v.x, v.y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {v.x, v.y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {v.x, v.y}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }

// What a kernel's parameters are: NumPy's codes, with * for pointers, ? for types that it does not have.
namespace emulator {
template <typename P> struct Code { static constexpr const char* text = "?"; };
#define CODE(type, code) template <> struct Code<type> { static constexpr const char* text = code; };
CODE(float, "f") CODE(double, "d") CODE(__half, "e") CODE(__nv_bfloat16, "E") CODE(bool, "b1")
CODE(signed char, "i1") CODE(unsigned char, "u1") CODE(short, "i2") CODE(unsigned short, "u2") CODE(int, "i4")
CODE(unsigned, "u4") CODE(long long, "i8") CODE(unsigned long long, "u8")

template <typename... P> const char* signature(void (*)(P...)) {
  static char text[4096];
  text[0] = 0;
  ((strcat(text, std::is_pointer_v<P> ? "*" : ""), strcat(text, Code<std::remove_cv_t<std::remove_pointer_t<P>>>::text),
    strcat(text, " ")), ...);
  return text;
}
}  // namespace emulator
