"""Webhook robots (群机器人, 消息推送) of duty groups: they only speak, and only of what nobody on duty may miss."""

from bot.channels.group_robot.channel import GroupRobot
from bot.channels.group_robot.notices import NAME

__all__ = ["NAME", "GroupRobot"]
