"""ECG from Kafka topics; alerts and beats to them."""
