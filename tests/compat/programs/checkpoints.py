"""Training that is stopped and resumed: one dict with everything, DataParallel's prefix, strict=False."""

import io

import torch
from common import fixed, waves
from torch import nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present
from torch.optim.lr_scheduler import StepLR


def make():
    model = fixed(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.01)
    return model, optimizer, StepLR(optimizer, 2, gamma=0.5)


def train(model, optimizer, schedule, steps):
    for step in steps:
        loss = model(waves(4, 3, shift=step)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return round(loss.item(), 6)


whole = train(*make(), range(5))
model, optimizer, schedule = make()
train(model, optimizer, schedule, range(3))
file = io.BytesIO()
wrapped = nn.DataParallel(model)
torch.save({"net": wrapped.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}, file)
file.seek(0)
saved = torch.load(file, map_location="cpu")
model, optimizer, schedule = make()
state = saved["net"]
consume_prefix_in_state_dict_if_present(state, "module.")
print(model.load_state_dict(state), list(state)[:3])
optimizer.load_state_dict(saved["optimizer"])
schedule.load_state_dict(saved["schedule"])
print(train(model, optimizer, schedule, range(3, 5)) == whole, schedule.get_last_lr())
try:
    model.load_state_dict({"0.weight": torch.ones(2, 3), "extra": torch.ones(1)})
except RuntimeError as error:
    print(error)
