from channels.binding.websockets import WebsocketBinding

from .models import Post


class PostBinding(WebsocketBinding):

    model = Post
    stream = "posts"
    fields = ["liveblog", "body", "published", "created"]

    @classmethod
    def group_names(cls, instance):
        # An unpublished post is nobody's business
        return [instance.liveblog.group_name] if instance.published else []

    def has_permission(self, user, action, pk):
        return user.is_staff
