"""The one seam to TensorFlow or JAX: everything that Keras 3 leaves different between them.

Which of the two runs is Keras's own setting, `KERAS_BACKEND`; TensorFlow is the default. On a CPU nothing is
compiled with XLA by TensorFlow (its 3D convolution is ten times slower there than oneDNN's); on a GPU everything is.
"""

from __future__ import annotations

import os
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


def device() -> str:
    """The device that computes, in words for a log: `GPU: ...` or `CPU`."""
    if name() == "jax":
        import jax

        found = jax.devices()[0]
        return "CPU" if found.platform == "cpu" else f"GPU: {found.device_kind}"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return f"GPU: {tf.config.experimental.get_device_details(gpus[0]).get('device_name', '?')}" if gpus else "CPU"


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
