"""Everything that differs between TensorFlow and JAX under Keras 3. No other module depends on which of them is used.

The environment variable `KERAS_BACKEND` tells Keras which back end to use; the default is TensorFlow. On a CPU
TensorFlow compiles nothing with XLA, whose 3D convolution is ten times slower there than oneDNN's; on a GPU it compiles
everything.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides the messages that TensorFlow prints at its start

import keras
import numpy as np

Loss = Callable[[Any, Any], Any]


def name() -> str:
    """Returns the back end in use, `tensorflow` or `jax`.

    Raises:
      ValueError: if Keras is set to use another back end.
    """
    found = keras.backend.backend()
    if found not in ("tensorflow", "jax"):
        raise ValueError(f"KERAS_BACKEND is {found}; use tensorflow or jax")
    return str(found)


def gpus() -> list[dict[str, str]]:
    """Lists the GPUs that the back end sees, with `name` and `compute_capability` (such as `9.0`; "" if unknown)."""
    if name() == "jax":
        import jax

        try:
            seen = [each for each in jax.devices() if each.platform == "gpu"]
        except RuntimeError as error:  # JAX for CUDA raises this if there is no GPU
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
    """Returns the name of the device that computes, for messages: `GPU: ...` or `CPU`."""
    found = gpus()
    return f"GPU: {found[0]['name']}" if found else "CPU"


def cuda() -> dict[str, str]:
    """Returns the versions of the GPU libraries: CUDA and cuDNN, or JAX's plug-in; {} if the back end has none."""
    if name() == "jax":
        plugins = importlib.metadata.distributions()
        return {each.name: each.version for each in plugins if re.fullmatch(r"jax-cuda\d+-plugin", each.name or "")}
    import tensorflow as tf

    built = tf.sysconfig.get_build_info()
    return {each: str(built[f"{each}_version"]) for each in ("cuda", "cudnn") if f"{each}_version" in built}


def compute(function: Callable[..., Any], *arrays: np.ndarray) -> tuple[np.ndarray, bool]:
    """Compiles a function written in `keras.ops`, in the same way as a network, and runs it once.

    Returns:
      The result, and whether it was computed on a GPU.
    """
    if name() == "jax":
        import jax

        result = jax.jit(function)(*arrays)
        return np.array(result), all(each.platform == "gpu" for each in result.devices())
    import tensorflow as tf

    result = tf.function(function, jit_compile=device() != "CPU")(*map(tf.constant, arrays))
    return result.numpy(), "GPU" in result.device


def compute_in_single_precision() -> None:
    """Makes GPUs multiply in full single precision from now on; by default they round the factors to 10 bits (TF32)."""
    if name() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)


def forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Compiles the forward pass of a network, as a function from a NumPy array to a NumPy array."""
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
      model: each step changes its trainable variables in place, and also the optimizer's variables.
      loss: (target, output) -> scalar, in `keras.ops`.

    Returns:
      (input, target) -> (loss, output), both computed with the weights from before the step.
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
