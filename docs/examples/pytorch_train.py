"""A PyTorch network that writes itself as ONNX, for a binary classification with numbers and categories."""

import io

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import nn


class Net(nn.Module):
    """One hidden layer over scaled numbers, marks of missing ones, and an embedding of each category."""

    def __init__(self, mean, scale, words, categories, width):
        super().__init__()
        self.words = words  # a word's place, from 1; 0 is a word that no training row has
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("scale", torch.tensor(scale))
        self.embeddings = nn.ModuleList(nn.Embedding(len(words) + 1, 4) for _ in range(categories))
        self.layers = nn.Sequential(nn.Linear(2 * len(mean) + 4 * categories, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, num, codes):
        """The probability of 1 of each row."""
        missing = torch.isnan(num)
        scaled = (torch.where(missing, self.mean, num) - self.mean) / self.scale
        embedded = [layer(codes[:, place]) for place, layer in enumerate(self.embeddings)]
        # Numbers far outside what was learned from count as the outermost: a network would go on in a straight line.
        row = torch.cat([scaled.clamp(-5, 5), missing.double(), *embedded], dim=1)
        return torch.sigmoid(self.layers(row)).squeeze(1)


def tensors(features, words):
    """The numbers, and the places of the categories' words."""
    numbers = features.select_dtypes("number")
    texts = features.drop(columns=numbers.columns)
    codes = texts.apply(lambda column: column.map(words)).fillna(0)
    return torch.tensor(numbers.to_numpy(np.float64)), torch.tensor(codes.to_numpy(np.int64))


def train(features, target, *, seed, parameters):
    """Fit the network: the same rows, seed and parameters give the same one."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    numbers = features.select_dtypes("number")
    texts = features.drop(columns=numbers.columns)
    words = {word: place for place, word in enumerate(sorted(set(texts.to_numpy().ravel())), start=1)}
    mean, scale = numbers.mean().to_numpy(), numbers.std().clip(lower=1e-9).to_numpy()
    net = Net(mean, scale, words, texts.shape[1], parameters.get("width", 16)).double()
    num, codes = tensors(features, words)
    wanted = torch.tensor(np.asarray(target, dtype=np.float64))
    steps = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(parameters.get("epochs", 3)):
        for rows in torch.randperm(len(wanted)).split(512):
            steps.zero_grad()
            nn.functional.binary_cross_entropy(net(num[rows], codes[rows]), wanted[rows]).backward()
            steps.step()
    return net.eval()


def predict(model, features):
    """The probability of 1 of each row."""
    with torch.no_grad():
        return model(*tensors(features, model.words)).numpy()


def export(model, inputs):
    """The network as ONNX."""
    file, shapes = io.BytesIO(), (len(inputs.numbers), len(inputs.categories))
    example = (torch.zeros(2, shapes[0], dtype=torch.double), torch.zeros(2, shapes[1], dtype=torch.int64))
    names = {"input_names": ["num", "codes"], "output_names": ["score"]}
    rows = {name: {0: "N"} for name in ("num", "codes", "score")}
    torch.onnx.export(model, example, file, **names, dynamic_axes=rows, opset_version=17, dynamo=False)
    made = onnx.load_from_string(file.getvalue())
    # PyTorch has no texts: a node of ONNX turns them into the places, in front of the network.
    words = {"keys_strings": list(model.words), "values_int64s": list(model.words.values()), "default_int64": 0}
    made.graph.node.insert(0, helper.make_node("LabelEncoder", ["cat"], ["codes"], domain="ai.onnx.ml", **words))
    made.graph.input.pop()
    made.graph.input.append(helper.make_tensor_value_info("cat", TensorProto.STRING, ["N", shapes[1]]))
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return made
