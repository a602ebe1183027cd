"""The types that annotations of layers name: sizes of one, two or three dimensions, given as one number or a tuple."""

from minigrad.tensor import Tensor

_size_any_t = int | tuple[int, ...]
_size_1_t, _size_2_t, _size_3_t = int | tuple[int], int | tuple[int, int], int | tuple[int, int, int]
_size_4_t, _size_5_t, _size_6_t = (int | tuple[(int,) * count] for count in (4, 5, 6))
_scalar_or_tuple_any_t, _scalar_or_tuple_1_t = _size_any_t, _size_1_t
_scalar_or_tuple_2_t, _scalar_or_tuple_3_t = _size_2_t, _size_3_t
_ratio_2_t, _ratio_3_t, _ratio_any_t = float | tuple[float, float], float | tuple[float, float, float], float | tuple
_tensor_list_t = Tensor | list[Tensor]
_maybe_indices_t = Tensor | tuple[Tensor, Tensor]
