"""Round a matrix to 4 bits column by column, each error made good by the columns that are still to
be rounded (GPTQ, Frantar et al., 2022, https://arxiv.org/abs/2210.17323): what the matrix gives for
the states that it reads stays closer than when each value is rounded by itself.
"""

from typing import Callable, NamedTuple, Tuple

import torch

# What is added to the diagonal, as a share of its mean: the states that were seen are few.
_DAMPING = 0.01


class Grid(NamedTuple):
    """The steps of a group of columns.

    scales (torch.Tensor): Of a step in each row, of shape (out).
    lowest (torch.Tensor): The least value of each row, of shape (out).
    """

    scales: torch.Tensor
    lowest: torch.Tensor

    def steps(self, column: torch.Tensor) -> torch.Tensor:
        """RETURNS (torch.Tensor): Integers from 0 to 15, as floats, of shape (out).

        column (torch.Tensor): Values of a column, of shape (out).
        """
        return ((column - self.lowest) / self.scales).round_().clamp_(0, 15)


def round_columns(
    matrix: torch.Tensor,
    moments: torch.Tensor,
    group: int,
    make_grid: Callable[[torch.Tensor], Grid],
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Round a matrix.

    matrix (torch.Tensor): In float32, of shape (out, in).
    moments (torch.Tensor): Sum of the outer products of the states that it reads, of shape (in,
        in); what it is divided by is of no account.
    group (int): How many columns share a grid.
    make_grid (Callable[[torch.Tensor], Grid]): Makes the grid of a group of columns.
    RETURNS (Tuple[torch.Tensor, torch.Tensor, torch.Tensor]): Integers of shape (out, in), as
        floats; scales and least values, of shape (out, groups).
    """
    rest = matrix.clone()
    weights = _error_weights(moments)
    steps, grids = torch.empty_like(matrix), []
    for first in range(0, matrix.shape[1], group):
        last = first + group
        block, grid = rest[:, first:last], make_grid(rest[:, first:last])
        errors = torch.empty_like(block)
        for column in range(group):
            at = first + column
            steps[:, at] = grid.steps(block[:, column])
            rounded = steps[:, at] * grid.scales + grid.lowest
            errors[:, column] = (block[:, column] - rounded) / weights[at, at]
            # A triangle: columns before this one stay as they are.
            block -= errors[:, column, None] * weights[at, first:last]
        rest[:, last:] -= errors @ weights[first:last, last:]
        grids.append(grid)
    return (
        steps,
        torch.stack([grid.scales for grid in grids], dim=1),
        torch.stack([grid.lowest for grid in grids], dim=1),
    )


def _error_weights(moments: torch.Tensor) -> torch.Tensor:
    """How the error of a column is spread over those behind it: the upper Cholesky factor of the
    inverse of the moments.
    """
    moments = moments.double()
    mean = moments.diagonal().mean().clamp(min=1e-8)
    damped = moments + torch.eye(len(moments), dtype=moments.dtype) * mean * _DAMPING
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True).float()
