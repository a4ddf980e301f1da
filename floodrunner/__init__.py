"""The one name that is installed: the command, and the repository's other packages below it.

`contract`, `runner`, `stages`, `segmentation` and `pipelines` are links to the folders beside this one; in a wheel they
are the folders. What belongs to one of them does not belong here. Importing this loads nothing heavy.
"""

from floodrunner.version import __version__ as __version__
