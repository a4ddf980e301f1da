"""The one seam to TensorFlow or JAX: everything that Keras 3 leaves different between them.

Which of the two runs is Keras's own setting, `KERAS_BACKEND`; TensorFlow is the default. On a CPU nothing is
compiled with XLA by TensorFlow (its 3D convolution is ten times slower there than oneDNN's); on a GPU everything is.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else a log begins with what TensorFlow has to say of itself

import keras
import numpy as np

Loss = Callable[[Any, Any], Any]


def name() -> str:
    """`tensorflow` or `jax`.

    Raises:
      ValueError: if Keras was told to use another one.
    """
    found = keras.backend.backend()
    if found not in ("tensorflow", "jax"):
        raise ValueError(f"KERAS_BACKEND is {found}; use tensorflow or jax")
    return str(found)


def gpus() -> list[dict[str, str]]:
    """The GPUs that it sees: `name` and `compute_capability` (`9.0`; "" where it does not tell)."""
    if name() == "jax":
        import jax

        try:
            seen = [each for each in jax.devices() if each.platform == "gpu"]
        except RuntimeError as error:  # JAX for CUDA insists on a GPU, unless told otherwise
            warnings.warn(str(error), stacklevel=2)
            seen = []
        return [
            {"name": each.device_kind, "compute_capability": str(getattr(each, "compute_capability", ""))}
            for each in seen
        ]
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [
        {
            "name": each.get("device_name", "?"),
            "compute_capability": ".".join(map(str, each.get("compute_capability", ()))),
        }
        for each in details
    ]


def device() -> str:
    """The device that computes, in words for a log: `GPU: ...` or `CPU`."""
    found = gpus()
    return f"GPU: {found[0]['name']}" if found else "CPU"


def cuda() -> dict[str, str]:
    """The versions of what it computes on GPUs with: CUDA and cuDNN, or JAX's plug-in; {} if it is for CPUs alone."""
    if name() == "jax":
        plugins = importlib.metadata.distributions()
        return {each.name: each.version for each in plugins if re.fullmatch(r"jax-cuda\d+-plugin", each.name or "")}
    import tensorflow as tf

    built = tf.sysconfig.get_build_info()
    return {each: str(built[f"{each}_version"]) for each in ("cuda", "cudnn") if f"{each}_version" in built}


def compute(function: Callable[..., Any], *arrays: np.ndarray) -> tuple[np.ndarray, bool]:
    """Compiles a function in `keras.ops` as networks are compiled, and runs it once.

    Returns:
      Its result, and whether a GPU holds it.
    """
    if name() == "jax":
        import jax

        result = jax.jit(function)(*arrays)
        return np.array(result), all(each.platform == "gpu" for each in result.devices())
    import tensorflow as tf

    result = tf.function(function, jit_compile=device() != "CPU")(*map(tf.constant, arrays))
    return result.numpy(), "GPU" in result.device


def compute_in_single_precision() -> None:
    """Has a GPU multiply in single precision from now on, where it would round factors to 10 bits (TF32)."""
    if name() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)


def forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Compiles the network's forward pass: array in, array out."""
    if name() == "jax":
        import jax

        held = (model.trainable_variables, model.non_trainable_variables)
        run = jax.jit(lambda trainable, fixed, x: model.stateless_call(trainable, fixed, x)[0])
        return lambda x: np.array(run(*([v.value for v in variables] for variables in held), x))
    import tensorflow as tf

    graph = tf.function(lambda x: model(x, training=False), jit_compile=device() != "CPU", reduce_retracing=True)
    return lambda x: graph(tf.constant(x)).numpy()


def training_step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Loss
) -> Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]:
    """Compiles one step of gradient descent.

    Args:
      model: its trainable variables are changed in place, as are the optimizer's.
      loss: (target, output) -> scalar, in `keras.ops`.

    Returns:
      (input, target) -> (loss, output), both from before the step.
    """
    optimizer.build(model.trainable_variables)
    return (_jax_step if name() == "jax" else _tensorflow_step)(model, optimizer, loss)


def _tensorflow_step(model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Loss) -> Callable[..., Any]:
    import tensorflow as tf

    @tf.function(jit_compile=device() != "CPU")
    def step(x: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            output = model(x, training=True)
            value = loss(target, output)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value, output

    def run(x: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        value, output = step(tf.constant(x), tf.constant(target))
        return float(value), output.numpy()

    return run


def _jax_step(model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Loss) -> Callable[..., Any]:
    import jax

    def value_and_output(trainable: Any, fixed: Any, x: Any, target: Any) -> Any:
        output, fixed = model.stateless_call(trainable, fixed, x, training=True)
        return loss(target, output), (output, fixed)

    @jax.jit
    def step(trainable: Any, fixed: Any, slots: Any, x: Any, target: Any) -> Any:
        differentiate = jax.value_and_grad(value_and_output, has_aux=True)
        (value, (output, fixed)), gradients = differentiate(trainable, fixed, x, target)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return value, output, trainable, fixed, slots

    held = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)

    def run(x: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        value, output, *new = step(*([v.value for v in variables] for variables in held), x, target)
        for variables, values in zip(held, new, strict=True):
            for variable, array in zip(variables, values, strict=True):
                variable.assign(array)
        return float(value), np.array(output)

    return run
