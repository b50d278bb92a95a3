"""Experiment trackers: TensorBoard, Weights & Biases, MLflow and Trackio, as the study's `report_to` names them."""
