"""NetA and NetB of PyTorch's recipe, "Warmstarting model using parameters from a
different model in PyTorch"."""

import torch
from torch import nn
from torch.nn import functional


class NetA(nn.Module):
    """A small convolutional network."""

    def __init__(self) -> None:
        """Makes it with fresh parameters."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classifies images of 32 by 32 pixels."""
        x = self.pool(functional.relu(self.conv1(x)))
        x = self.pool(functional.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        return self.fc3(x)


class NetB(NetA):
    """Another model of the same layers, as the recipe has it."""
