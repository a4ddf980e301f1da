"""Saves each picture that a U-Net has predicted as soon as it is finished, so that a later run can reuse it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodrunner.contract.stage import Context

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.stages.storage.image_sets import Picture


class Finished:
    """The finished pictures. Each has a file in the state folder, so a stop or a kill loses one picture at most.

    Args:
      identity: settings, network and weights, as JSON; a picture saved with another identity is not reused.
    """

    def __init__(self, identity: dict[str, Any], context: Context) -> None:
        self._context = context
        self._identity = identity | {"program": context.program}
        self._files: list[Path] = []
        self._reused = False

    def load(self, name: str, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns labels and probability if an earlier run saved them with the same identity and image; else None."""
        from floodrunner.stages.resumable import state

        saved = state.load(self._file(name))
        if saved is None:
            return None
        arrays, values = saved
        with state.restoring(self._file(name)):
            identity, labels, probability = values["identity"], arrays["labels"], arrays["probability"]
        if identity != self._identity_of(image):
            aside = state.set_aside(self._context.state)
            self._context.message(
                f"the saved state has other settings or data: it is kept in state/{aside.name}, and prediction starts "
                "over"
            )
            return None
        if not self._reused:
            self._context.message("continuing after the pictures that are already finished")
        self._reused = True
        self._files.append(self._file(name))
        return labels, probability

    def save(self, picture: Picture) -> None:
        from floodrunner.stages.resumable import state

        arrays: dict[str, Any] = {"labels": picture.labels, "probability": picture.probability}
        state.save(self._file(picture.name), arrays, {"identity": self._identity_of(picture.image)})
        self._files.append(self._file(picture.name))

    def spent(self) -> None:
        """Lets the runner delete the saved files once the outputs are published."""
        for file in self._files:
            self._context.spent(file)

    def _file(self, name: str) -> Path:
        return self._context.state / f"{name}.h5"

    def _identity_of(self, image: np.ndarray) -> dict[str, Any]:
        from floodrunner.stages.resumable import state

        return self._identity | {"image": state.fingerprint(image)}
