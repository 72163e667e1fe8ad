"""WeCom AI bot (企业微信智能机器人): long connection (长连接) and webhook (短连接) behind one channel."""
