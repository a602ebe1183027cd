"""Bessel functions, Airy's function and orthogonal polynomials of raw arrays, in float64.

Each Bessel function is a Chebyshev series near zero (beside its logarithm, where it has one) and, farther out, of the
modulus and phase, or the scaled decay, of its asymptotic form: DLMF 10.17, 10.31, 10.40, 9.7. The coefficients were
computed in 40 digits. Polynomials follow their three-term recurrences: DLMF 18.9.
"""

import functools
import math

from minigrad.backend import np, xp
from minigrad.kernels.mask import choose
from minigrad.kernels.special import chebyshev_series as series
from minigrad.kernels.special import i0, i1, in_double

# fmt: off
_J0 = (
    1.577279714748901196e-1, -8.723442352852221291e-3, 2.651786132033368099e-1, -3.70094993872649779e-1,
    1.580671023320972613e-1, -3.489376941140888516e-2, 4.819180069467604497e-3, -4.606261662062750475e-4,
    3.246032882100508081e-5, -1.761946907762150749e-6, 7.608163592418781867e-8, -2.679253530557672898e-9,
    7.848696314479464417e-11, -1.943834686737016571e-12, 4.125320595634373933e-14, -7.588508125447546338e-16,
    1.221851587396141103e-17,
)
_J1 = (
    8.10448463256581151e-2, -1.489751450676521091e-1, 1.609992623572097025e-1, -8.26804917668179066e-2,
    2.221363965496603541e-2, -3.646940600769275958e-3, 4.050337728354821833e-4, -3.255554866857258517e-5,
    1.985877404991516741e-6, -9.521984756750436182e-8, 3.687133759097148239e-9, -1.17802662269588484e-10,
    3.160154580348003321e-12, -7.221755239651773428e-14, 1.423214400351394232e-15, -2.444197291619046389e-17,
)
_Y0 = (
    3.645469809116044361e-2, -2.783237094075824831e-1, 2.960499990207148168e-1, 9.825508408187864058e-2,
    -1.07551552806277835e-1, 3.179907408441451543e-2, -5.161397105810714949e-3, 5.498525320039011539e-4,
    -4.19969831494201307e-5, 2.429036110792379398e-6, -1.104996979347295611e-7, 4.066517365979110493e-9,
    -1.237414889828985249e-10, 3.168572552894594442e-12, -6.926956032431001084e-14, 1.308630862587668401e-15,
    -2.15862019869144832e-17,
)
_Y1 = (
    3.830076985242377883e-2, -8.182561412732826406e-2, -2.486770761219640051e-2, 4.796745275274698292e-2,
    -1.852588451089802217e-2, 3.680607687823511102e-3, -4.627254060293368715e-4, 4.069400269580869868e-5,
    -2.661769512529562619e-6, 1.350602691325433804e-7, -5.483524110336276575e-9, 1.824508684122900774e-10,
    -5.070666636591129134e-12, 1.195616251758794901e-13, -2.423162442712473228e-15, 4.268126513072962358e-17,
    -6.596060978723041242e-19,
)
_P0 = (
    9.994603493475186654e-1, -5.365220468132117425e-4, 3.075184787519474622e-6, -5.170594537606097701e-8,
    1.630646463515138309e-9, -7.864091377237069999e-11, 5.168262387349192462e-12, -4.304578869925391222e-13,
    4.326595743154940564e-14, -5.069034095935236078e-15, 6.748072215733873704e-16, -1.001151372346778583e-16,
    1.630591923374418474e-17,
)
_Q0 = (
    -1.55558546053370091e-2, 6.838519942611649599e-5, -7.414498411060647265e-7, 1.797245724796899178e-8,
    -7.271915936866319979e-10, 4.220121904668738444e-11, -3.206747420996634745e-12, 3.006145125351706311e-13,
    -3.336328185322426997e-14, 4.255225040245461123e-15, -6.09993013164005001e-16, 9.662128970303256738e-17,
    -1.66860652143781463e-17, 3.108244048673814434e-18, -6.191115787358144927e-19, 1.309144871722012155e-19,
)
_P1 = (
    1.0009030408600137, 8.989898330859408556e-4, -3.987284300488908523e-6, 6.177633960644298535e-8,
    -1.871890749106306609e-9, 8.816898659582338898e-11, -5.704863640395644702e-12, 4.699195515230542375e-13,
    -4.684223783990489222e-14, 5.452674896044717168e-15, -7.221180842274017919e-16, 1.066768911433541246e-16,
    -1.731231321611633497e-17,
)
_Q1 = (
    4.677778706953532524e-2, -9.627723549157079324e-5, 9.138615257955454124e-7, -2.095978138408342246e-8,
    8.229193327650554129e-10, -4.68636368817694523e-11, 3.515218794968608085e-12, -3.264315674327899926e-13,
    3.596776582916529193e-14, -4.561252395077297194e-15, 6.508282957783383954e-16, -1.026914753182324286e-16,
    1.76763554877647916e-17, -3.283451987298161461e-18, 6.524081149589260303e-19,
)
_K0 = (
    -2.676636966169513844e-1, 3.442898999246284869e-1, 3.597993651536150163e-2, 1.264615411446925923e-3,
    2.286212103119451786e-5, 2.534791079026149457e-7, 1.904516377220208859e-9, 1.034969525763362459e-11,
    4.259816142791082577e-14, 1.374465435880750897e-16,
)
_K1 = (
    -6.409034516866253383e-2, -1.091691959932010471e-1, -6.63687845281771386e-3, -1.682279238206734412e-4,
    -2.389559180803607713e-6, -2.185356902454969442e-8, -1.398227132611332691e-10, -6.618562752976040932e-13,
    -2.413451624298782432e-15, -6.990873731242566736e-18,
)
_K0_FAR = (
    1.220151541032977727, -3.144810131196450054e-2, 1.569883885730053375e-3, -1.284954958162780264e-4,
    1.394981371887649936e-5, -1.831755522719119485e-6, 2.766813639445015076e-7, -4.660489897687947666e-8,
    8.574034017414226086e-9, -1.697534509389061516e-9, 3.577397281400328447e-10, -7.957489244477397038e-11,
    1.855949114954926555e-11, -4.514597883374519175e-12, 1.140340588207344235e-12, -2.980096923148178355e-13,
    8.032890775068374369e-14, -2.22751332674629636e-14, 6.340076476276645966e-15, -1.848593377920907169e-15,
    5.512055999404333365e-16, -1.678231125754900638e-16, 5.210391777643554113e-17, -1.647580593984263282e-17,
)
_K1_FAR = (
    1.360313095242221335, 1.039237365768172384e-1, -2.857816859622779387e-3, 1.952155184713516311e-4,
    -1.93619797416608296e-5, 2.406484947837217117e-6, -3.501960603087812542e-7, 5.741084125450049292e-8,
    -1.034576246567809703e-8, 2.015049755197034616e-9, -4.190354759341925584e-10, 9.218315187605314126e-11,
    -2.129967838427791022e-11, 5.13963967348234354e-12, -1.289173960949822935e-12, 3.34841966605224312e-13,
    -8.976705182010146069e-14, 2.477154424219598681e-14, -7.019837089214768851e-15, 2.03870316623986088e-15,
    -6.057047270643017823e-16, 1.838093575243045426e-16, -5.689462849193648374e-17, 1.794051047886357291e-17,
)
_AI = (
    7.786476140366064251e-2, 1.180416618233897951e-1, -6.248522487923607092e-2, -1.54784144621743958e-1,
    -3.288153380217980911e-2, 2.692569694220430518e-2, 2.054072778666662859e-1, -1.544347702728977884e-1,
    -6.448873004738329658e-2, 1.142453890178966833e-1, -2.877129249074068296e-2, -2.454729389825401929e-2,
    1.808669390444979484e-2, -1.29021027699866683e-3, -3.248428912786016561e-3, 1.380085550760100243e-3,
    6.724502237608536167e-5, -2.25930082879364806e-4, 6.094732293013610086e-5, 9.742391465495087495e-6,
    -9.759240202065008248e-6, 1.692300221183602357e-6, 5.024764750915482073e-7, -2.873272964834814606e-7,
    2.998281169044179764e-8, 1.583331705429982598e-8, -6.118433148182489725e-9, 2.996164866677235119e-10,
    3.496496017728826013e-10, -9.813335666404863035e-11, -2.231228354684935705e-14, 5.787392431190483742e-12,
    -1.219475728901143527e-12, -5.928705572284184864e-14, 7.485973750665345328e-14, -1.196340315563103686e-14,
    -1.215649044287700614e-15, 7.790960090104631464e-16, -9.35418480333735512e-17, -1.562168792802326278e-17,
    6.667404378068957412e-18,
)
_AI_SLOPE = (
    -1.187189413868717857e-1, 1.537226893916044976e-1, -2.899008435841390359e-1, 2.092651115064810051e-1,
    -8.352198408848042532e-2, 2.677211715992451102e-1, -1.433568661822677702e-1, -2.800315693785316522e-1,
    3.371068635556364604e-1, -5.07383069878354866e-2, -1.198746925159502727e-1, 7.713410408212310432e-2,
    1.3429987551382158e-4, -1.932826340827580148e-2, 7.588848142617229929e-3, 8.841831601705237881e-4,
    -1.61172219578343836e-3, 4.059963343850278829e-4, 9.530509708287350827e-5, -8.158224905606092401e-5,
    1.30360135964705472e-5, 5.166552740072482638e-6, -2.75878846790974147e-6, 2.534494280662335004e-7,
    1.783350072547356829e-7, -6.636722996514567444e-8, 2.409262206959838692e-9, 4.334664191629762391e-9,
    -1.18613563305284345e-9, -1.653085265499886914e-11, 7.869429728378334083e-11, -1.623335554104087771e-11,
    -1.043109545952212951e-12, 1.110299269997608002e-12, -1.735660620171991707e-13, -2.091454121404418055e-14,
    1.25313204037280694e-14, -1.464156505440970719e-15, -2.804806333328801186e-16, 1.15661372456004812e-16,
    -9.704709247143563763e-18, -2.870260931887764251e-18,
)
_AI_RIGHT = (
    2.776956095117059171e-1, -4.172967562045923128e-3, 2.0669586013998012e-4, -1.728099784106820561e-5,
    1.928052166797156951e-6, -2.605774398776261675e-7, 4.051516883512394979e-8, -7.022240440986222933e-9,
    1.328608199770102833e-9, -2.703558037129288813e-10, 5.852297782838998271e-11, -1.336358441651975588e-11,
    3.197854714928915471e-12, -7.976813559559602473e-13, 2.06513475411096665e-13, -5.528999782159779871e-14,
    1.526165619010181099e-14, -4.331979304955805257e-15, 1.261623931989874772e-15, -3.762607039935759269e-16,
    1.147161615626461736e-16, -3.570144365109208348e-17, 1.132646227140021861e-17, -3.658761589006901987e-18,
)
_AI_SLOPE_RIGHT = (
    -2.884113861054927821e-1, -6.042341571114763667e-3, 2.518914909840105969e-4, -1.987037801592286846e-5,
    2.152106685069098682e-6, -2.856095271971453154e-7, 4.385963680378759992e-8, -7.533439518916627795e-9,
    1.41549523882385687e-9, -2.864605824140266321e-10, 6.173274353454642638e-11, -1.404422698627215438e-11,
    3.350168259737251907e-12, -8.334179324068733553e-13, 2.152584956932872002e-13, -5.751230262331676023e-14,
    1.584600484298416518e-14, -4.49048271305006172e-15, 1.305859140647017365e-15, -3.889337305531181534e-16,
    1.184359819768265653e-16, -3.68181634846353126e-17, 1.166882443191088806e-17, -3.765804720705344114e-18,
)
_AI_P = (
    9.998791124386287727e-1, -1.2058949687633431e-4, 2.957645087271751298e-7, -2.264822401053412213e-9,
    3.429890601114357814e-11, -8.345074383769028652e-13, 2.894491027793326786e-14, -1.324856064792308676e-15,
    7.58552237667871302e-17, -5.225755172785521372e-18,
)
_AI_Q = (
    5.614524548471160437e-3, -9.899067222806241801e-6, 4.71674425783844546e-8, -5.305954281509296181e-10,
    1.048504592219208677e-11, -3.116780309838814168e-13, 1.266860893782955456e-14, -6.603765003372570685e-16,
    4.217920205907471323e-17, -3.191583561520412679e-18, 2.788385259493685031e-19,
)
_AI_SLOPE_P = (
    1.000142952352562434, 1.426280225774615393e-4, -3.218949064182371767e-7, 2.39834901289043913e-9,
    -3.58333713206707312e-11, 8.648851867168246988e-13, -2.984056034294307488e-14, 1.360757499265780975e-15,
    -7.769436277895217387e-17, 5.340950111102345649e-18,
)
_AI_SLOPE_Q = (
    -7.863135878988492028e-3, 1.107292105752933852e-5, -5.048564571119454011e-8, 5.574281648742106327e-10,
    -1.090321470145437023e-11, 3.220325290665920967e-13, -1.303202827413958812e-14, 6.771526777997755675e-16,
    -4.314588765656353572e-17, 3.258512436327993452e-18, -2.842482535869081985e-19,
)
# fmt: on
_FAR = 2 / 3 * 7**1.5  # zeta(x) = 2/3 |x|^(3/2) where Airy's function is taken from its asymptotic form: x = -7 and 2
_RIGHT = 2 / 3 * 2**1.5


# ---------------------------------------------------------------------- Bessel functions of order 0 and 1
def _oscillating(order, second, x):
    """Return J (or, if ``second``, Y) of order 0 or 1 for x > 8."""
    module = xp(x)
    inverse = 8 / x
    t = 2 * inverse * inverse - 1
    p, q = series((_P0, _P1)[order], t), inverse * series((_Q0, _Q1)[order], t)
    sine, cosine = module.sin(x), module.cos(x)
    # of x - pi / 4 (order 0) or x - 3 pi / 4, times sqrt 2
    a, b = (cosine + sine, sine - cosine) if order == 0 else (sine - cosine, -sine - cosine)
    return (p * b + q * a if second else p * a - q * b) / module.sqrt(math.pi * x)


def _first_kind(order, x):
    """Return J of order 0 or 1 for x >= 0."""
    module = xp(x)
    small = module.minimum(x, 8)
    near = series(_J1 if order else _J0, small * small / 32 - 1)
    return choose(x > 8, _oscillating(order, False, module.maximum(x, 8)), near * small if order else near)


def _second_kind(order, x):
    """Return Y of order 0 or 1: -inf at 0, NaN below."""
    module = xp(x)
    small = module.clip(x, 1e-300, 8)
    near = series(_Y1 if order else _Y0, small * small / 32 - 1)
    near = near * small - 2 / (math.pi * small) if order else near
    near = near + (2 / math.pi) * module.log(small / 2) * _first_kind(order, small)
    out = choose(x > 8, _oscillating(order, True, module.maximum(x, 8)), near)
    out = choose(x == 0, module.full_like(x, -np.inf), out)
    return choose((x < 0) | module.isnan(x), module.full_like(x, np.nan), out)


def _decaying(order, scaled, x):
    """Return K of order 0 or 1, times exp(x) if ``scaled``: inf at 0, NaN below."""
    module = xp(x)
    small, large = module.clip(x, 1e-300, 2), module.maximum(x, 2)
    near = series(_K1 if order else _K0, small * small / 2 - 1)
    logarithm = module.log(small / 2)
    near = near * small + 1 / small + logarithm * i1(small) if order else near - logarithm * i0(small)
    far = series(_K1_FAR if order else _K0_FAR, 4 / large - 1) / module.sqrt(large)
    out = choose(x > 2, far if scaled else far * module.exp(-large), near * module.exp(small) if scaled else near)
    out = choose(x == 0, module.full_like(x, np.inf), out)
    return choose((x < 0) | module.isnan(x), module.full_like(x, np.nan), out)


@in_double
def bessel_j0(x):
    """Return the Bessel function of the first kind and order 0."""
    return _first_kind(0, xp(x).abs(x))


@in_double
def bessel_j1(x):
    """Return the Bessel function of the first kind and order 1."""
    return xp(x).copysign(1, x) * _first_kind(1, xp(x).abs(x))


bessel_y0 = in_double(functools.partial(_second_kind, 0))
bessel_y1 = in_double(functools.partial(_second_kind, 1))
modified_bessel_k0 = in_double(functools.partial(_decaying, 0, False))
modified_bessel_k1 = in_double(functools.partial(_decaying, 1, False))
scaled_modified_bessel_k0 = in_double(functools.partial(_decaying, 0, True))
scaled_modified_bessel_k1 = in_double(functools.partial(_decaying, 1, True))


@in_double
def spherical_bessel_j0(x):
    """Return sin(x) / x: 1 at 0, 0 at infinity."""
    module = xp(x)
    out = module.sin(x) / choose(x == 0, module.ones_like(x), x)
    return choose(module.isinf(x), module.zeros_like(x), choose(x == 0, module.ones_like(x), out))


@in_double
def spherical_slope(x):
    """Return the derivative (cos(x) - sin(x) / x) / x; its Taylor series near 0."""
    module = xp(x)
    near = module.abs(x) < 1
    square, small = choose(near, x * x, module.zeros_like(x)), module.zeros_like(x)
    for k in range(10, 0, -1):
        small = small * square + (-1) ** k * 2 * k / math.factorial(2 * k + 1)
    away = choose(near, module.ones_like(x), x)
    return choose(near, small * x, (module.cos(away) - module.sin(away) / away) / away)


# ---------------------------------------------------------------------- Airy's function
def _airy(x, slope):
    """Return Airy's function Ai, or its derivative."""
    module = xp(x)
    middle = series(_AI_SLOPE if slope else _AI, (module.clip(x, -7, 2) + 2.5) / 4.5)
    right = module.maximum(x, 2)
    zeta = 2 / 3 * right * module.sqrt(right)
    decay = series(_AI_SLOPE_RIGHT if slope else _AI_RIGHT, 2 * _RIGHT / zeta - 1) * module.exp(-zeta)
    decay = decay * right ** (0.25 if slope else -0.25)
    left = module.maximum(-x, 7)
    zeta = 2 / 3 * left * module.sqrt(left)
    inverse = _FAR / zeta
    t = 2 * inverse * inverse - 1
    p, q = series(_AI_SLOPE_P if slope else _AI_P, t), series(_AI_SLOPE_Q if slope else _AI_Q, t) * inverse
    a, b = module.cos(zeta) + module.sin(zeta), module.sin(zeta) - module.cos(zeta)
    wave = (p * b - q * a if slope else p * a + q * b) * (left ** (0.25 if slope else -0.25) / math.sqrt(2 * math.pi))
    out = choose(x > 2, decay, choose(x < -7, wave, middle))
    return choose(x == np.inf, module.zeros_like(x), out)


airy_ai = in_double(functools.partial(_airy, slope=False))
airy_slope = in_double(functools.partial(_airy, slope=True))


# ---------------------------------------------------------------------- orthogonal polynomials
# P_1 = first (slope, constant); P_{k+1} = (a x + b) P_k - c P_{k-1} with (a, b, c) from k.
_CHEBYSHEV = lambda k: (2, 0, 1)  # noqa: E731
_SHIFTED = lambda k: (4, -2, 1)  # noqa: E731
POLYNOMIALS = {
    "chebyshev_polynomial_t": ((1, 0), _CHEBYSHEV),
    "chebyshev_polynomial_u": ((2, 0), _CHEBYSHEV),
    "chebyshev_polynomial_v": ((2, -1), _CHEBYSHEV),
    "chebyshev_polynomial_w": ((2, 1), _CHEBYSHEV),
    "shifted_chebyshev_polynomial_t": ((2, -1), _SHIFTED),
    "shifted_chebyshev_polynomial_u": ((4, -2), _SHIFTED),
    "shifted_chebyshev_polynomial_v": ((4, -3), _SHIFTED),
    "shifted_chebyshev_polynomial_w": ((4, -1), _SHIFTED),
    "hermite_polynomial_h": ((2, 0), lambda k: (2, 0, 2 * k)),
    "hermite_polynomial_he": ((1, 0), lambda k: (1, 0, k)),
    "laguerre_polynomial_l": ((-1, 1), lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1))),
    "legendre_polynomial_p": ((1, 0), lambda k: ((2 * k + 1) / (k + 1), 0, k / (k + 1))),
}


def polynomial(x, n, *, family, order):
    """Return the order-th derivative of a family's polynomial of degree n (0 for n < 0); inputs broadcast.

    The recurrence P_{k+1} = (a x + b) P_k - c P_{k-1}, differentiated d times, is
    P_{k+1}^(d) = (a x + b) P_k^(d) + d a P_k^(d-1) - c P_{k-1}^(d).
    """
    module = xp(x) if hasattr(x, "dtype") else xp(n)
    result = np.result_type(*(value.dtype for value in (x, n) if hasattr(value, "dtype")))
    x, n = module.broadcast_arrays(module.asarray(x, dtype=np.float64), module.asarray(n, dtype=np.float64))
    n = module.where(module.abs(n) < 2.0**62, module.trunc(n), -1)
    (slope, constant), recurrence = POLYNOMIALS[family]
    zeros = module.zeros_like(x)
    older = [zeros + 1] + [zeros] * order
    newer = [slope * x + constant, zeros + slope, *[zeros] * order][: order + 1]
    out = module.where(n == 0, older[order], zeros)
    last = int(n.max()) if n.size else 0
    for k in range(1, last + 1):
        out = module.where(n == k, newer[order], out)
        a, b, c = recurrence(k)
        line = a * x + b
        steps = [line * newer[d] - c * older[d] + (d * a * newer[d - 1] if d else 0) for d in range(order + 1)]
        older, newer = newer, steps
    return out.astype(result)
