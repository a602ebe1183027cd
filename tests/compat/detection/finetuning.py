"""A Mask R-CNN for pedestrians, and others for classes of one's own, as programs written for torchvision make them.

Called with a folder, in which it makes pictures of bright rectangles and their masks.
"""
import sys
from functools import partial
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.io import read_image
from torchvision.models import MobileNet_V2_Weights
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection import _utils as det_utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.fcos import FCOSClassificationHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNet_ResNet50_FPN_Weights, RetinaNetClassificationHead
from torchvision.models.detection.ssd import SSDClassificationHead
from torchvision.models.detection.ssdlite import SSDLiteClassificationHead
from torchvision.models.resnet import ResNet50_Weights
from torchvision.ops.boxes import masks_to_boxes
from torchvision.transforms import v2 as T
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

SIDE = 64
NUM_CLASSES = 2


def make_pictures(root, count):
    torch.manual_seed(1)
    for folder in ("PNGImages", "PedMasks"):
        (root / folder).mkdir()
    for index in range(count):
        picture = torch.randint(0, 80, (SIDE, SIDE, 3), dtype=torch.uint8)
        mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
        for number, left in enumerate((4, 36), 1):
            top = int(torch.randint(4, 20, (1,)))
            picture[top : top + 36, left : left + 20] = 220
            mask[top : top + 36, left : left + 20] = number
        Image.fromarray(picture.numpy()).save(root / "PNGImages" / f"{index}.png")
        Image.fromarray(mask.numpy()).save(root / "PedMasks" / f"{index}_mask.png")


class PedestrianDataset(torch.utils.data.Dataset):
    def __init__(self, root, transforms):
        self.root = root
        self.transforms = transforms
        self.imgs = sorted(path.name for path in (root / "PNGImages").iterdir())
        self.masks = sorted(path.name for path in (root / "PedMasks").iterdir())

    def __getitem__(self, idx):
        img = read_image(str(self.root / "PNGImages" / self.imgs[idx]))
        mask = read_image(str(self.root / "PedMasks" / self.masks[idx]))
        obj_ids = torch.unique(mask)[1:]
        masks = (mask == obj_ids[:, None, None]).to(dtype=torch.uint8)
        boxes = masks_to_boxes(masks)
        target = {
            "boxes": boxes,
            "masks": masks,
            "labels": torch.ones((len(obj_ids),), dtype=torch.int64),
            "image_id": idx,
            "area": (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0]),
            "iscrowd": torch.zeros((len(obj_ids),), dtype=torch.int64),
        }
        return self.transforms(img), target

    def __len__(self):
        return len(self.imgs)


def get_transform():
    return T.Compose([T.ToDtype(torch.float, scale=True), T.ToPureTensor()])


def get_model_instance_segmentation(num_classes):
    model = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=SIDE, max_size=SIDE, box_detections_per_img=5
    )
    in_features = model.roi_heads.box_predictor.cls_score.in_features
    model.roi_heads.box_predictor = FastRCNNPredictor(in_features, num_classes)
    in_features_mask = model.roi_heads.mask_predictor.conv5_mask.in_channels
    model.roi_heads.mask_predictor = MaskRCNNPredictor(in_features_mask, 256, num_classes)
    return model


def train_one_epoch(model, optimizer, data_loader, device):
    model.train()
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0 / 1000, total_iters=2)
    for images, targets in data_loader:
        images = [image.to(device) for image in images]
        targets = [{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in t.items()} for t in targets]
        with torch.autocast(device_type="cpu", enabled=False):
            loss_dict = model(images, targets)
            losses = sum(loss for loss in loss_dict.values())
        assert torch.isfinite(losses), loss_dict
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        warmup.step()
    return sorted(loss_dict)


@torch.inference_mode()
def evaluate(model, data_loader):
    model.eval()
    results = {}
    for images, targets in data_loader:
        outputs = [{k: v.to(torch.device("cpu")) for k, v in t.items()} for t in model(images)]
        results.update({target["image_id"]: output for target, output in zip(targets, outputs)})
    return results


def pedestrians(root):
    make_pictures(root, 4)
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    dataset = PedestrianDataset(root, get_transform())
    indices = torch.randperm(len(dataset)).tolist()
    loaders = [
        torch.utils.data.DataLoader(
            torch.utils.data.Subset(dataset, part), batch_size=2, shuffle=True, collate_fn=lambda b: tuple(zip(*b))
        )
        for part in (indices[:2], indices[2:])
    ]
    model = get_model_instance_segmentation(NUM_CLASSES)
    model.to(device)
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(params, lr=0.005, momentum=0.9, weight_decay=0.0005)
    lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.1)
    print(*train_one_epoch(model, optimizer, loaders[0], device))
    lr_scheduler.step()
    print(sorted(evaluate(model, loaders[1])) == sorted(indices[2:]))
    image = read_image(str(root / "PNGImages" / "0.png"))
    pred = {"boxes": torch.tensor([[4.0, 5, 20, 40]]), "masks": torch.ones(1, 1, SIDE, SIDE), "labels": [1]}
    labels = [f"pedestrian: {n}" for n in pred["labels"]]
    output = draw_bounding_boxes(image, pred["boxes"].long(), labels, colors="red")
    output = draw_segmentation_masks(output, (pred["masks"] > 0.7).squeeze(1), alpha=0.5, colors="blue")
    print(tuple(output.shape), output.dtype)
    torch.save(model.state_dict(), root / "model.pth")
    again = get_model_instance_segmentation(NUM_CLASSES)
    print(again.load_state_dict(torch.load(root / "model.pth")))


def own_backbone():
    backbone = torchvision.models.mobilenet_v2(weights=None).features
    backbone.out_channels = 1280
    anchor_generator = AnchorGenerator(sizes=((32, 64, 128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),))
    roi_pooler = torchvision.ops.MultiScaleRoIAlign(featmap_names=["0"], output_size=7, sampling_ratio=2)
    model = FasterRCNN(
        backbone, num_classes=2, rpn_anchor_generator=anchor_generator, box_roi_pool=roi_pooler, min_size=SIDE
    )
    model.eval()
    with torch.no_grad():
        predictions = model([torch.rand(3, 60, 80), torch.rand(3, 100, 80)])
    print(len(predictions), *sorted(predictions[0]))
    model = FasterRCNN(resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=1), 3)
    print(sum(parameter.requires_grad for parameter in model.backbone.body.parameters()))


def own_classes():
    detection = torchvision.models.detection
    retinanet = detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    anchors = retinanet.head.classification_head.num_anchors
    retinanet.head.classification_head = RetinaNetClassificationHead(
        256, anchors, NUM_CLASSES, norm_layer=partial(nn.GroupNorm, 32)
    )
    fcos = detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, min_size=SIDE)
    fcos.head.classification_head = FCOSClassificationHead(256, fcos.anchor_generator.num_anchors_per_location()[0], 2)
    ssdlite = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    channels = det_utils.retrieve_out_channels(ssdlite.backbone, (320, 320))
    anchors = ssdlite.anchor_generator.num_anchors_per_location()
    norm_layer = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    ssdlite.head.classification_head = SSDLiteClassificationHead(channels, anchors, NUM_CLASSES, norm_layer)
    keypoints = detection.keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_keypoints=4)
    in_features = keypoints.roi_heads.keypoint_predictor.kps_score_lowres.in_channels
    predictor = keypoints.roi_heads.keypoint_predictor = KeypointRCNNPredictor(in_features, 5)
    print(retinanet.head.classification_head.cls_logits.out_channels, predictor.out_channels)
    target = {"boxes": torch.tensor([[5.0, 5, 40, 50]]), "labels": torch.tensor([1])}
    for model in (fcos, ssdlite):
        losses = model([torch.rand(3, SIDE, SIDE)] * 2, [target] * 2)
        sum(losses.values()).backward()
        print(*sorted(losses))
    head = SSDClassificationHead([512, 1024], [4, 6], NUM_CLASSES)
    print(tuple(head([torch.rand(1, 512, 2, 2), torch.rand(1, 1024, 1, 1)]).shape))
    parameters = RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["num_params"]
    print(MobileNet_V2_Weights.DEFAULT, ResNet50_Weights.IMAGENET1K_V1, parameters)


if __name__ == "__main__":
    pedestrians(Path(sys.argv[1]))
    own_backbone()
    own_classes()
