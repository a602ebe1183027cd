"""Scaling of losses, so that gradients in half precision neither vanish nor overflow."""

import enum
import warnings
from collections import defaultdict

from minigrad.backend import cuda_is_available, np, xp
from minigrad.kernels import cuda
from minigrad.ops.creation import full
from minigrad.tensor import Tensor
from minigrad.variable import touch

__all__ = ["GradScaler", "OptState"]


class OptState(enum.Enum):
    """How far the scaler is with an optimizer since the last update()."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh_state():
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Multiplies losses by a factor that it adapts, divides gradients by it, and skips steps with inf or NaN in them.

    Arguments: device ("cuda" or "cpu"), init_scale (first factor), growth_factor (> 1: applied by update() after
    growth_interval steps in a row without inf or NaN), backoff_factor (< 1: applied after a skipped step),
    growth_interval, enabled (False: everything passes through). Warns, and is disabled, for "cuda" without a GPU.
    AssertionError for factors out of range and calls out of order.
    Source: https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling

    >>> import minigrad as mg
    >>> weight = mg.ones(1, requires_grad=True)
    >>> optimizer, scaler = mg.optim.SGD([weight], lr=1.0), mg.amp.GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale((weight * 3).sum()).backward()
    >>> weight.grad
    tensor([24.])
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> weight, scaler.get_scale()
    (tensor([-2.], requires_grad=True), 8.0)
    """

    def __init__(
        self,
        device="cuda",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda" and not cuda_is_available():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._init_growth_tracker = 0
        self._scale = self._growth_tracker = None  # 0-d tensors on the losses' device, made by the first scale()
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._per_optimizer_states = defaultdict(_fresh_state)

    def scale(self, outputs):
        """Return a tensor, or an iterable of them, times the scale; ValueError for anything else."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = full((), self._init_scale, dtype=np.dtype(np.float32), device=outputs.device)
                self._growth_tracker = full(
                    (), self._init_growth_tracker, dtype=np.dtype(np.int32), device=outputs.device
                )
            return outputs * self._scale.to(outputs.device)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(output) for output in outputs])
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _check_scaled(self, name):
        """AssertionError where nothing has been scaled yet."""
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )

    def unscale_(self, optimizer):
        """Divide the optimizer's gradients by the scale, in place, and look for inf and NaN: step() does so otherwise.

        RuntimeError where it was called since the last update(), or after step(); ValueError for float16 gradients.
        """
        if not self._enabled:
            return
        self._check_scaled("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state["found_inf_per_device"] = _unscaled(optimizer, self._scale)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer, *args, **kwargs):
        """Call optimizer.step(…), with the gradients unscaled, unless some are inf or NaN; return what it returns.

        RuntimeError where it was called since the last update(), or for a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_scaled("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        found = list(state["found_inf_per_device"].values())
        if not found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        if len(found) == 1 and getattr(optimizer, "_step_supports_amp_scaling", False):
            optimizer.found_inf = found[0]  # the step leaves itself out: nobody waits for the GPU
            try:
                result = optimizer.step(*args, **kwargs)
            finally:
                del optimizer.found_inf
            state["stage"] = OptState.STEPPED
            return result
        skipped = any(one.item() for one in found)
        result = None if skipped else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale=None):
        """Adapt the scale to whether steps were skipped, or set it to new_scale (float, or Tensor of one element)."""
        if not self._enabled:
            return
        self._check_scaled("update")
        if new_scale is not None:
            self._set_scale(new_scale)
        else:
            found = [
                one for state in self._per_optimizer_states.values() for one in state["found_inf_per_device"].values()
            ]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(found)
        self._per_optimizer_states = defaultdict(_fresh_state)

    def _set_scale(self, new_scale):
        if isinstance(new_scale, Tensor):
            fits = new_scale.device.type == self._device and new_scale.numel() == 1 and not new_scale.requires_grad
            if not fits:
                raise AssertionError(
                    "new_scale should be a float or a 1-element torch.cuda.FloatTensor or torch.FloatTensor with "
                    "requires_grad=False."
                )
            self._scale.copy_(new_scale.reshape(()))
            return
        self._scale.fill_(new_scale)

    def _adapt(self, found):
        """Back off after an overflow, grow after growth_interval steps without one; nothing waits for a GPU."""
        scale, tracker = self._scale.array, self._growth_tracker.array
        overflowed = found[0].to(self._scale.device).array
        for one in found[1:]:
            overflowed = xp(overflowed).maximum(overflowed, one.to(self._scale.device).array)
        if type(scale) is not np.ndarray:
            adaptation = self._growth_factor, self._backoff_factor, self._growth_interval
            cuda.optimizer.update_scale(scale, tracker, overflowed, *adaptation)
        elif overflowed > 0:
            scale *= self._backoff_factor
            tracker.fill(0)
        else:
            tracker += 1
            if tracker == self._growth_interval:
                tracker.fill(0)
                grown = scale * np.float32(self._growth_factor)
                if np.isfinite(grown):  # inf could never back off
                    scale.fill(grown)
        touch(scale)
        touch(tracker)

    def get_scale(self):
        """Return the scale as a float; 1.0 when disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self):
        """Return the factor of growth."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Set the factor of growth."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """Return the factor after a skipped step."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Set the factor after a skipped step."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """Return after how many steps in a row the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Set after how many steps in a row the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self):
        """Return how many steps in a row were not skipped."""
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def is_enabled(self):
        """Return whether losses are scaled."""
        return self._enabled

    def state_dict(self):
        """Return the state as a dict of numbers; empty when disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict):
        """Take over a state that state_dict() returned; RuntimeError for an empty one."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self):
        state = self.__dict__.copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                    "scaler.update()."
                )
            state.update(
                _init_scale=self.get_scale(), _init_growth_tracker=self._get_growth_tracker(), _scale=None,
                _growth_tracker=None,
            )  # fmt: skip
        return state

    def _check_inf_per_device(self, optimizer):
        """Look for inf and NaN in the gradients as they are; return {device: tensor of 0 or 1}."""
        self._check_scaled("_check_inf_per_device")
        found = _unscaled(optimizer, None, allow_float16=True)
        self._per_optimizer_states[id(optimizer)]["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer):
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]


def _unscaled(optimizer, scale, allow_float16=False):
    """Divide an optimizer's gradients by a 0-d tensor, if not None; return {device: tensor, 1 where some are inf}."""
    found = {}
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    gradients = [gradient._values() if gradient.is_sparse else gradient for gradient in gradients]
    if not allow_float16 and any(gradient.array.dtype.char == "e" for gradient in gradients):
        raise ValueError("Attempting to unscale FP16 gradients.")
    by_device = {}
    for gradient in gradients:
        by_device.setdefault(gradient.device, []).append(gradient.array)
    for home, arrays in by_device.items():
        found[home] = full((), 0.0, dtype=np.dtype(np.float32), device=home)
        flag, divisor = found[home].array, None if scale is None else scale.to(home).array
        if home.type == "cuda" and cuda.optimizer.takes_all(arrays):
            cuda.optimizer.unscale(arrays, divisor, flag)
        else:
            _divide(arrays, divisor, flag)
        if divisor is not None:
            for array in arrays:
                touch(array)
    return found


def _divide(arrays, divisor, flag):
    """Look for inf and NaN in arrays, then multiply them by 1 / divisor (None: not)."""
    module = xp(flag)
    factor = None if divisor is None else (1 / divisor.astype(np.float64)).astype(np.float32)
    factor = factor.item() if module is np and factor is not None else factor  # a number does not widen float16
    for array in arrays:
        module.maximum(flag, ~module.isfinite(array).all(), out=flag)  # nothing waits for a GPU here
        if factor is not None and not (module is np and factor == 1.0):
            array *= factor if module is np else factor.astype(array.dtype)
