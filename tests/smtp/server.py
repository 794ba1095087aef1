"""A mail server that is not ours: aiosmtpd with STARTTLS and AUTH, on a port of its own. Writes what it takes into a Maildir,
byte for byte but for the ends of lines. Says its port, and ends with its standard input."""

import asyncio
import mailbox
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

certificate, key, folder, name, password = sys.argv[1:]


class Keeper:
    def __init__(self):
        self.maildir = mailbox.Maildir(folder, create=True)

    async def handle_DATA(self, server, session, envelope):
        if session.ssl is None or not session.authenticated:
            return '530 5.7.0 neither TLS nor a password'
        head = f'X-To: {",".join(envelope.rcpt_tos)}\r\n'.encode()
        self.maildir.add(head + envelope.content)
        return '250 2.0.0 kept'


def known(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (name.encode(), password.encode())
    return AuthResult(success=right, handled=False if not right else True)


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    keeper = Keeper()
    loop = asyncio.get_running_loop()

    def session():
        return SMTP(keeper, tls_context=tls, require_starttls=True, authenticator=known, auth_required=True, loop=loop,
                    hostname='mx.posta.example', data_size_limit=32 << 20)

    server = await loop.create_server(session, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
