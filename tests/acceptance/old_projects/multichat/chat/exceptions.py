class ClientError(Exception):
    """
    Caught by the websocket.receive handler and turned into an answer to the client.
    """
    def __init__(self, code):
        super(ClientError, self).__init__(code)
        self.code = code

    def send_to(self, channel):
        channel.send({
            "text": '{"error": "%s"}' % self.code,
        })
