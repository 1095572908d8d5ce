<?php

declare(strict_types=1);

namespace Amqp1\Command\Doctor;

/**
 * Where a DSN leads, before anything of AMQP: is the name known, does the port accept a connection?
 *
 * @internal
 */
final class Address
{
    /**
     * @return list<array{scheme: string, host: string, port: int, login: bool}> one for each host; empty for the embedded broker
     *     and for a DSN of another form, about which AmqpQueue itself says what is wrong
     */
    public static function of(string $dsn): array
    {
        if (preg_match('#(?:^|;)\s*Endpoint=sb://([\w.-]+)(?::(\d+))?#i', $dsn, $found) === 1) {
            $plain = preg_match('#(?:^|;)\s*UseDevelopmentEmulator=true#i', $dsn) === 1;

            return [['scheme' => $plain ? 'amqp' : 'amqps', 'host' => $found[1], 'port' => (int) ($found[2] ?? 0) ?: ($plain ? 5672 : 5671), 'login' => true]];
        }
        // The last @ ends the password, which may contain others.
        if (preg_match('#^(amqps?)1?(s?)://(?:([^/?]*)@)?([^@/?]+)#i', $dsn, $found) !== 1) {
            return [];
        }
        $scheme = strtolower($found[1]) === 'amqps' || $found[2] !== '' ? 'amqps' : 'amqp';
        $addresses = [];
        foreach (explode(',', $found[4]) as $host) {
            if (preg_match('#^(\[[\da-f:.]+\]|[^:\[\]]+)(?::(\d+))?$#i', $host, $parts) === 1) {
                $addresses[] = ['scheme' => $scheme, 'host' => trim($parts[1], '[]'),
                    'port' => (int) ($parts[2] ?? 0) ?: ($scheme === 'amqps' ? 5671 : 5672), 'login' => $found[3] !== ''];
            }
        }

        return $addresses;
    }

    /** @param array{scheme: string, host: string, port: int, login: bool} $address */
    public static function finding(array $address, float $timeout): Finding
    {
        ['scheme' => $scheme, 'host' => $host, 'port' => $port] = $address;
        $isAddress = filter_var($host, FILTER_VALIDATE_IP) !== false;
        if (!$isAddress && gethostbynamel($host) === false) {
            return Finding::problem('network', "the name $host is not known here", "Check the host in the DSN; getent hosts $host asks as this did");
        }
        $begun = microtime(true);
        $connection = @stream_socket_client('tcp://' . (str_contains($host, ':') ? "[$host]" : $host) . ":$port", $number, $text, $timeout);
        if ($connection === false) {
            return Finding::problem('network', "$host:$port cannot be connected to: $text", $number === 111
                ? 'Nothing listens there: is the broker running, and this its port for AMQP (5672; 5671 with TLS)?'
                : 'Check firewalls and network policies between here and there');
        }
        fclose($connection);
        $took = sprintf('%.1f ms', (microtime(true) - $begun) * 1000);
        if ($scheme === 'amqp' && $address['login'] && !self::isHere($host)) {
            return Finding::note('network', "$host:$port accepts connections ($took), without TLS: passwords and jobs can be read on the way",
                'Use amqps:// if the network is not yours alone');
        }

        return Finding::ok('network', "$host:$port accepts connections ($took)" . ($scheme === 'amqps' ? ', TLS' : ''));
    }

    private static function isHere(string $host): bool
    {
        return $host === 'localhost' || $host === '::1' || str_starts_with($host, '127.');
    }
}
