"""The second reader: a small pretrained encoder, tuned on our own chats, whose answers are averaged with the heads'."""
