<?php

declare(strict_types=1);

namespace Amqp1\Command\Doctor;

use Amqp1\Exception\AuthenticationException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TimeoutException;

/**
 * What to do about an error of a connection or a queue: its kind, and the line that mends it.
 *
 * @internal
 */
final class Advice
{
    /** Part of the message => kind, what to do. The first one that fits. */
    private const KNOWN = [
        'unknown issuer' => ['TLS', 'Get the certificate of the CA that signed the broker\'s, and name its file: tls.root_ca=/etc/ssl/broker-ca.pem'
            . ' in the DSN\'s query, or the option tls.root_ca'],
        'does not speak TLS' => ['TLS', 'Write amqp:// in place of amqps://, or the broker\'s port for TLS (usually 5671)'],
        'expects TLS on this port' => ['TLS', 'Write amqps:// in place of amqp://, or the broker\'s port without TLS (usually 5672)'],
        'TLS: ' => ['TLS', 'openssl s_client -connect HOST:PORT shows the certificate that the broker sends; see TLS in docs/options.md'],
        'only AMQP 0-9-1' => ['broker', 'On RabbitMQ 3: sudo rabbitmq-plugins enable rabbitmq_amqp1_0. RabbitMQ 4 needs no plugin'],
        'lookup address' => ['network', 'Check the host in the DSN; getent hosts HOST asks as this did'],
        'Connection refused' => ['network', 'Nothing listens there: is the broker running, and this its port for AMQP (5672; 5671 with TLS)?'],
    ];

    public static function about(ExceptionInterface $e): Finding
    {
        $text = $e->getMessage();
        [$kind, $mend] = self::ofPermissions($text) ?? self::ofLogin($e) ?? self::ofKnown($text)
            ?? ($e instanceof ConfigException ? ['queue', 'Change the options so that they agree with the broker, or delete the queue there'] : null)
            ?? ['broker', $e instanceof TimeoutException ? 'Is the broker overloaded, or does a firewall drop packets? --timeout SECONDS waits longer'
                : 'Look into the broker\'s log: it has the reason, with this time and the address of this machine'];

        return Finding::problem($kind, $text, $mend);
    }

    /**
     * RabbitMQ's permissions, by its words.
     *
     * @return array{string, string}|null
     */
    private static function ofPermissions(string $text): ?array
    {
        if (preg_match("#(?:(configure|write|read) )?access to \w+ '([^']*)' in vhost '([^']*)' refused for user '([^']*)'#", $text, $found) === 1) {
            [, $kind, $name, $vhost, $user] = $found;
            $what = $kind === '' ? 'each of the three' : ['configure' => 'the first', 'write' => 'the second', 'read' => 'the third'][$kind];

            return ['permissions', self::allow($vhost, $user) . "; or narrower patterns than '.*' (configure, write, read): $what must match $name"];
        }
        // RabbitMQ 3 says that it refuses; RabbitMQ 4 hangs up.
        if (preg_match("#opening virtual host '(?<vhost>.*)' \(.*?//(?:(?<user>[^@/]*)@)?#", $text, $found) === 1
            || preg_match("#//[^/ ]*(?:/(?<vhost>.*))? closed the connection: .*Access for user '(?<user>[^']*)' was refused#", $text, $found) === 1) {
            $vhost = $found['vhost'] ?: '/';
            $add = $vhost === '/' ? '' : 'sudo rabbitmqctl add_vhost ' . escapeshellarg($vhost) . ' if rabbitmqctl list_vhosts does not list it; then ';

            return ['virtual host', $add . self::allow($vhost, ($found['user'] ?? '') ?: 'guest')];
        }

        return null;
    }

    private static function allow(string $vhost, string $user): string
    {
        return 'sudo rabbitmqctl set_permissions -p ' . escapeshellarg($vhost) . ' ' . escapeshellarg($user) . " '.*' '.*' '.*'";
    }

    /** @return array{string, string}|null */
    private static function ofLogin(ExceptionInterface $e): ?array
    {
        return $e instanceof AuthenticationException ? ['login', str_contains($e->getMessage(), 'refused the credentials')
            ? 'Check user and password: special characters are percent-encoded in a DSN. RabbitMQ\'s user guest may log in from the broker\'s machine only;'
                . ' rabbitmqctl authenticate_user USER checks a password there'
            : 'Check user, key and entity in the DSN, and what the broker lets this user do (Service Bus: the claims Listen and Send)'] : null;
    }

    /** @return array{string, string}|null */
    private static function ofKnown(string $text): ?array
    {
        foreach (self::KNOWN as $part => $advice) {
            if (str_contains($text, $part)) {
                return $advice;
            }
        }

        return null;
    }
}
