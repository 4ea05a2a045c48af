"""Networks for images: per-record gradients against a loop over records, what they refuse, and that they learn."""

import numpy as np
import pytest
import torch

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.errors import InvalidRequest
from worker.catalogue import build_catalogue
from worker.measure import measure_run
from worker.methods.dp_sgd import PLUGIN as DP_SGD
from worker.methods.sgd import PLUGIN as SGD
from worker.models._images import ToImages
from worker.models.cnn import PLUGIN as CNN
from worker.models.cnn import CnnParams
from worker.models.resnet18 import PLUGIN as RESNET
from worker.models.resnet18 import ResNet18Params
from worker.privacy.accounting import Budget
from worker.testing import toy_images, toy_work
from worker.training.initial import build
from worker.training.losses import per_record
from worker.training.opacus_trainer import OpacusEngine, per_record_gradients

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")

NETWORKS = [
    pytest.param(CNN, CnnParams(), id="cnn"),
    pytest.param(CNN, CnnParams(kernel=5, normalisation="group", activation="tanh"), id="cnn-group"),
    pytest.param(CNN, CnnParams(channels=[4, 6], kernel=4, dense=8), id="cnn-even"),
    pytest.param(CNN, CnnParams(channels=[3, 5, 4], kernel=7, dense=0, activation="gelu"), id="cnn-deep"),
    pytest.param(RESNET, ResNet18Params(width=4), id="resnet-group"),
    pytest.param(RESNET, ResNet18Params(width=4, normalisation="none"), id="resnet-none"),
]


@pytest.mark.parametrize("image", [(1, 28, 28), (3, 9, 13)])
@pytest.mark.parametrize(("model", "params"), NETWORKS)
@pytest.mark.parametrize("way", ["hooks", "ghost"])
def test_scaled_sums_and_norms_are_those_of_a_loop_over_records(model, params, image, way):
    torch.set_num_threads(1)
    table = toy_images(30, image=image)
    work = toy_work(DP_SGD, table=table, model=model, model_params=params)
    features, target = torch.from_numpy(work.train.features[:4]), torch.from_numpy(work.train.target[:4])
    plain = build(work)
    weights = list(plain.parameters())
    each = []
    for x, y in zip(features, target, strict=True):
        loss = per_record(plain(x[None]), y[None], work.task).sum()
        each.append(torch.autograd.grad(loss, weights))
    norms = torch.stack([torch.sqrt(sum((g**2).sum() for g in gradients)) for gradients in each])
    scale = torch.tensor([1.0, 0.5, 2.0, 0.0]) / norms
    sums = [sum(s * g[i] for s, g in zip(scale, each, strict=True)) for i in range(len(weights))]

    found = per_record_gradients(build(work), work, way)
    _, found_norms = found.norms(features, target)
    assert torch.allclose(found_norms, norms, rtol=1e-3)
    largest = max(float(s.abs().max()) for s in sums)
    for one, other in zip(found.sum(scale), sums, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize(("model", "params"), NETWORKS)
def test_private_training_without_noise_or_clipping_is_plain_training(model, params):
    table = toy_images(60, image=(1, 16, 16))
    more = {"table": table, "model": model, "model_params": params, "epochs": 1, "batch_size": 12}
    never = DP_SGD.Params(epsilon=1.0, clip=1e4)
    no_noise = Budget(1.0, 1e-5, "rdp", 0.0, 0.0, 0.0)
    (private,) = OpacusEngine().train([toy_work(DP_SGD, never, spent=no_noise, learning_rate=0.01, **more)])
    work = toy_work(SGD, learning_rate=0.01, **more)
    (plain,) = OpacusEngine().train([work])
    assert np.allclose(private.logits(work.validation), plain.logits(work.validation), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("model", "params"), NETWORKS)
def test_a_network_learns_patterns(model, params):
    table = toy_images(150, image=(1, 12, 12))
    work = toy_work(
        SGD, table=table, model=model, model_params=params, epochs=12, batch_size=16, learning_rate=0.05, momentum=0.9
    )
    (trained,) = OpacusEngine().train([work])
    assert trained.diverged is None
    assert (trained.logits(work.validation).argmax(1) == work.validation.target).mean() > 0.8


def test_rows_become_images_channel_by_channel_and_are_centred_by_their_bounds():
    rows = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 60) / 119
    images = ToImages((3, 4, 5), (0.0, 1.0))(rows)
    assert images.shape == (2, 3, 4, 5)
    for row, channel, y, x in [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3)]:
        assert images[row, channel, y, x] == (rows[row, channel * 20 + y * 5 + x] - 0.5) / 0.5
    assert (images.min(), images.max()) == (-1, 1)
    wider = ToImages((3, 4, 5), (-2.0, 6.0))(torch.tensor([[-2.0, 2.0, 6.0] * 20]))
    assert torch.allclose(wider.reshape(-1)[:3], torch.tensor([-1.0, 0.0, 1.0]))
    assert torch.equal(ToImages((3, 4, 5), None)(rows).reshape(2, 60), rows)


def test_resnet18_has_its_18_layers_and_its_size():
    table = toy_images(10, image=(3, 32, 32), classes=10)
    module = RESNET.build(ResNet18Params(), 3072, 10, table.domain)
    layers = [one for one in module.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Linear)]
    shortcuts = [one for one in layers if getattr(one, "kernel_size", None) == (1, 1)]
    assert len(layers) - len(shortcuts) == 18
    assert len(shortcuts) == 3
    # As used for CIFAR it has 11,173,962 weights: with batch normalisation, and convolutions without the bias that
    # ours have.
    biases = sum(one.bias.numel() for one in layers if isinstance(one, torch.nn.Conv2d))
    assert sum(p.numel() for p in module.parameters()) - biases == 11_173_962


@pytest.mark.parametrize(("model", "params"), NETWORKS)
def test_no_layer_normalises_a_batch(model, params):
    module = model.build(params, 784, 10, toy_images(10, image=(1, 28, 28)).domain)
    assert not any(isinstance(one, torch.nn.modules.batchnorm._BatchNorm) for one in module.modules())


def spec(dataset, model, **params):
    attribute = "sex" if dataset == "adult" else "class"
    return JobSpec.model_validate(
        {
            "dataset": {"name": dataset, "params": {"limit": 300}, "subgroups": [attribute]},
            "model": {"name": model, "params": params},
            "methods": [{"name": "dp_sgd", "params": {"epsilon": 8}}],
            "training": {"epochs": 1, "batch_size": 30},
            "evaluation": {"attacks": [{"name": "loss_threshold"}]},
            "seeds": 1,
        }
    )  # fmt: skip


@pytest.mark.parametrize("model", ["cnn", "resnet18"])
@pytest.mark.parametrize("dataset", ["adult", "purchase_like"])
def test_a_network_for_images_is_refused_for_a_table_when_the_study_is_submitted(dataset, model):
    with pytest.raises(InvalidRequest) as caught:
        expand(spec(dataset, model), build_catalogue(), max_runs=10)
    (problem,) = [one for one in caught.value.problems if one.field == "model.name"]
    assert caught.value.status == 422
    assert "are no images" in problem.expected
    assert "mlp" in problem.fix


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("kernel", 0),
        ("channels", []),
        ("channels", [0]),
        ("dense", -1),
        ("normalisation", "batch"),
        ("activation", "x"),
    ],
)
def test_a_wrong_parameter_is_named(name, wrong):
    with pytest.raises(InvalidRequest) as caught:
        expand(spec("mnist_5k", "cnn", **{name: wrong}), build_catalogue(), max_runs=10)
    assert caught.value.problems[0].field.startswith(f"model.params.{name}")


@pytest.mark.parametrize(("model", "params"), [("cnn", {"channels": [4]}), ("mlp", {"hidden": [8]})])
def test_a_study_of_digits_has_figures_of_each_digit(tmp_path, model, params):
    (config,) = expand(spec("mnist_5k", model, **params), build_catalogue(), max_runs=10).configs
    result = measure_run(config, cache_dir=tmp_path)
    assert result.status == "succeeded", result.message
    subgroups = {m.subgroup for m in result.measurements}
    assert {"all", "class", *(f"class={digit}" for digit in range(10))} <= subgroups
    tested = {m.subgroup: m.value for m in result.measurements if m.metric == "n" and m.split == "test"}
    assert tested["all"] == 60
    assert sum(tested[f"class={digit}"] for digit in range(10)) == 60
