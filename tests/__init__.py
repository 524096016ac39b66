"""The tests, of this checkout's packages, also where another checkout is the one installed."""

from transforms.contract.process.own_packages import find_own_first

find_own_first()
