<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

/** A TLS server (`openssl s_server`) that sends nothing after the handshake. It is not a broker. */
final class TlsPeer
{
    private function __construct(private readonly Child $process, public readonly int $port)
    {
    }

    /**
     * @param string $certificate its name among the certificates
     * @param list<string> $arguments more of s_server's own
     */
    public static function start(string $certificate = 'server', array $arguments = []): self
    {
        $address = Sockets::refused();
        $pair = Certificates::pair($certificate);
        // -www: it does not read its stdin, which we share.
        $process = Child::command(['openssl', 's_server', '-www', '-accept', $address, '-cert', $pair['cert'],
            '-key', $pair['key'], ...$arguments]);
        $process->waitFor('ACCEPT', 10);

        return new self($process, (int) substr(strrchr($address, ':'), 1));
    }

    /** A peer that accepts only clients with a certificate of the CA. */
    public static function thatWantsACertificate(string ...$arguments): self
    {
        return self::start('server', ['-Verify', '1', '-verify_return_error', '-CAfile', Certificates::path('ca.pem'),
            ...$arguments]);
    }

    /** What it received and printed. */
    public function output(): string
    {
        return $this->process->output();
    }
}
