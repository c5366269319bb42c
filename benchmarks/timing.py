"""Time functions while other code calls them."""

import time
from typing import Any, Callable, Dict


def timed(function: Callable[..., Any], spent: Dict[str, float], name: str) -> Callable[..., Any]:
    """RETURNS (Callable[..., Any]): The function, that also adds its seconds up.

    function (Callable[..., Any]): A function.
    spent (Dict[str, float]): Seconds by name.
    name (str): The name.
    """

    def wrapper(*args: Any) -> Any:
        begin = time.perf_counter()
        result = function(*args)
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - begin
        return result

    return wrapper
