from django.db import models


class Liveblog(models.Model):
    title = models.CharField(max_length=255)
    slug = models.SlugField()

    @property
    def group_name(self):
        return "liveblog-%s" % self.id


class Post(models.Model):
    liveblog = models.ForeignKey(Liveblog, related_name="posts", on_delete=models.CASCADE)
    body = models.TextField()
    published = models.BooleanField(default=True)
    created = models.DateTimeField(auto_now_add=True)
