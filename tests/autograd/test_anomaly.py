"""Anomaly detection names the operation, and where it was called."""

import pytest

import minigrad as mg


def test_names_the_operation_and_the_line_of_its_call():
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    with mg.autograd.detect_anomaly():
        root = mg.sqrt(x)
        y = (root * mg.tensor([0.0, 1.0])).sum()
        with pytest.raises(RuntimeError, match=r"SqrtBackward0(.|\n)*test_anomaly(.|\n)*mg\.sqrt\(x\)"):
            y.backward()


def test_names_the_first_nan_of_the_forward_pass():
    x = mg.tensor([-1.0], requires_grad=True)
    with mg.autograd.detect_anomaly():
        y = (mg.log(x) * x).sum()
        with pytest.raises(RuntimeError, match=r"first NaN was made in the forward pass already, by 'log'"):
            y.backward()


def test_off_again_after_the_block_and_after_errors():
    x = mg.tensor([0.0], requires_grad=True)
    with pytest.raises(KeyError), mg.autograd.detect_anomaly():
        raise KeyError
    assert not mg.autograd.is_anomaly_enabled()
    (mg.sqrt(x) * 0).sum().backward()
    assert x.grad.isnan().all()


def test_without_check_nan_and_as_a_switch():
    x = mg.tensor([0.0], requires_grad=True)
    with mg.autograd.detect_anomaly(check_nan=False):
        (mg.sqrt(x) * 0).sum().backward()
    mg.autograd.set_detect_anomaly(True)
    try:
        assert mg.autograd.is_anomaly_enabled()
    finally:
        mg.autograd.set_detect_anomaly(False)
    with mg.autograd.set_detect_anomaly(True):
        assert mg.autograd.is_anomaly_check_nan_enabled()
    assert not mg.autograd.is_anomaly_enabled()
